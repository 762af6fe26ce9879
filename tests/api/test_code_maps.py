"""`isthmus.code_map`."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "map": Parity(["map", MODEL, "photos", "-o", "a.html"], lambda: isthmus.code_map(MODEL, "photos")),
    "map, all options": Parity(
        [
            *("map", MODEL, "photos", "--method", "pca", "--limit", "9", "--seed", "3"),
            *("-o", "a.png", "-o", "a.csv"),
        ],
        lambda: isthmus.code_map(MODEL, "photos", method="pca", limit=9, seed=3),
    ),
}


@pytest.mark.usefixtures("here")
def test_a_map_is_a_page_a_picture_and_a_table(tmp_path: Path) -> None:
    result = isthmus.code_map(MODEL, "photos", method="pca")
    assert result.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<canvas" in result.save(tmp_path / "a.html").read_text("utf-8")
    rows = list(csv.DictReader(result.save(tmp_path / "a.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(result.names)
    assert {row["label"] for row in rows} == {"left", "right"}
    result.save(tmp_path / "a.npz")
    assert np.array_equal(np.load(tmp_path / "a.npz")["points"], result.points)
