"""`isthmus.tune`: one answer from both interfaces; what was left out is named."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import isthmus

from .parity import Parity

QUICK: dict[str, Any] = {
    "recipe": "dense",
    "settings": ["backbone.width=8"],
    "folds": 2,
    "steps": 2,
}
WORDS = ("--recipe", "dense", "--set", "backbone.width=8", "--folds", "2", "--steps", "2")
PARITY = {
    "tune": Parity(
        ["tune", "photos", "--over", "code=1,2", *WORDS],
        lambda: isthmus.tune("photos", ["code=1,2"], **QUICK),
    ),
    "tune, all options": Parity(
        [
            *("tune", "photos", "--over", "optimiser.rate=1e-3..1e-2", *WORDS, "--code", "2"),
            *("--objectives", "reconstruction,probe", "--search", "random", "--trials", "2", "--size", "8"),
            *("--groups", r"(\d)"),
            *("--budget", "5", "--log", "log.jsonl", "--force", "--seed", "1", "-o", "t.html", "-o", "t.csv"),
        ],
        lambda: isthmus.tune(
            "photos",
            ["optimiser.rate=1e-3..1e-2"],
            code="2",
            objectives=["reconstruction", "probe"],
            search="random",
            trials=2,
            size=(8, 8),
            groups=r"(\d)",
            budget=5,
            log="log.jsonl",
            force=True,
            seed=1,
            **QUICK,
        ),
    ),
}


def test_broken_files_are_named(here: Path) -> None:
    (here / "photos/broken.png").write_bytes(b"no image")
    result = isthmus.tune("photos", ["code=1"], **QUICK)
    assert [item.name for item in result.skipped] == ["broken.png"]


@pytest.mark.usefixtures("here")
def test_the_csv_file_has_a_row_per_trial() -> None:
    result = isthmus.tune("photos", ["code=1,2"], **QUICK)
    rows = list(csv.DictReader(result.save("t.csv").read_text().splitlines()))
    assert [row["code"] for row in rows] == [trial.settings["code"] for trial in result.trials]
    assert float(rows[0]["mse"]) == pytest.approx(result.trials[0].means["mse"])


@pytest.mark.usefixtures("here")
def test_old_keywords_still_work() -> None:
    options = {key: value for key, value in QUICK.items() if key != "folds"}
    with pytest.warns(DeprecationWarning):
        result = isthmus.tune("photos", ["code=1"], folds_count=2, out="log.jsonl", **options)  # type: ignore[call-arg]
    assert result.folds == 2 and result.log == "log.jsonl" and Path("log.jsonl").exists()
