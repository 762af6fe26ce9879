"""`isthmus compare`: one budget, one table, honest baselines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.__main__ import main

Document = Callable[..., dict[str, Any]]
SMALL = ("--code", "3", "--steps", "6", "--set", "backbone.width=8")


@pytest.mark.usefixtures("here")
def test_every_recipe_gets_the_same_steps_and_images(document: Document) -> None:
    result = document("compare", "photos", "--recipes", "dense,recurrent", *SMALL)
    rows = {row["name"]: row for row in result["contenders"]}
    assert set(rows) == {"dense", "recurrent", "PCA", "mean image"}
    assert rows["dense"]["steps"] == rows["recurrent"]["steps"] == 6
    assert rows["dense"]["numbers"] == rows["PCA"]["numbers"] == 3
    assert result["training_images"] + result["test_images"] == 10
    errors = [row["metrics"]["mse"]["mean"] for row in result["contenders"]]
    assert errors == sorted(errors)
    assert all(row["metrics"]["mse"]["half_width"] is None for row in result["contenders"])


@pytest.mark.usefixtures("here")
def test_seeds_give_intervals(document: Document) -> None:
    result = document("compare", "photos", "--recipes", "dense", "--seeds", "2", *SMALL)
    dense = next(row for row in result["contenders"] if row["name"] == "dense")
    assert result["seeds"] == [0, 1]
    assert dense["metrics"]["mse"]["half_width"] > 0


def test_the_report_is_one_page_and_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "photos", "--recipes", "dense", *SMALL, "-o", "c.html", "--quiet"]
    assert main(words) == 0
    page = (here / "c.html").read_text("utf-8")
    assert "Recipes compared" in page
    assert "data:image/png" in page
    capsys.readouterr()
    assert main(words) == 1
    assert "c.html exists" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_misspelt_recipe_is_refused_before_anything_trains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "photos", "--recipes", "dense,convv", *SMALL]) == 2
    said = capsys.readouterr().err
    assert "'conv'" in said
    assert "training" not in said
