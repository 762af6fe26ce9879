"""`isthmus.compare`: one answer from both interfaces; what was left out is named."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

QUICK: dict[str, Any] = {"code": "3", "settings": ["backbone.width=8"], "steps": 2}
WORDS = ("--code", "3", "--set", "backbone.width=8", "--steps", "2")
PARITY = {
    "compare": Parity(
        ["compare", "photos", "--recipes", "dense", *WORDS],
        lambda: isthmus.compare("photos", ["dense"], **QUICK),
    ),
    "compare, all options": Parity(
        [
            *("compare", "photos/left", "--recipes", "dense, conv", *WORDS, "--test", "photos/right"),
            *("--seeds", "2", "--size", "8", "--groups", r"(\d)"),
            *("-o", "c.html", "-o", "c.csv", "-o", "c.png"),
        ],
        lambda: isthmus.compare(
            "photos/left",
            ["dense", "conv"],
            test="photos/right",
            seeds=2,
            size=(8, 8),
            groups=r"(\d)",
            **QUICK,
        ),
    ),
}


def test_broken_files_are_named_once(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    (here / "photos/broken.png").write_bytes(b"no image")
    result = isthmus.compare("photos", ["dense"], **QUICK)
    assert [item.name for item in result.skipped] == ["broken.png"]
    assert sum("skipped broken.png" in message for message in caplog.messages) == 1


@pytest.mark.usefixtures("here")
def test_the_table_is_saved_with_a_row_per_recipe() -> None:
    result = isthmus.compare("photos", ["dense"], **QUICK)
    rows = list(csv.DictReader(result.save("c.csv").read_text().splitlines()))
    assert [row["recipe"] for row in rows] == [item.name for item in result.contenders]
    assert float(rows[0]["mse"]) == pytest.approx(result.contenders[0].metrics["mse"].mean)


@pytest.mark.usefixtures("here")
def test_recipes_are_a_sequence() -> None:
    with pytest.raises(UsageError, match="several recipes"):
        isthmus.compare("photos", "dense")
    with pytest.raises(UsageError, match="seeds=0"):
        isthmus.compare("photos", ["dense"], seeds=0)
