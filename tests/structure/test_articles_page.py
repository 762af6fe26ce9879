"""The tables of docs/research/articles/ are those of the results, and its pictures are there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scripts import load_script

from isthmus.images.store import ImageSet

ROOT = Path(__file__).parents[2]
STUDY = "studies/articles"
FOLDER = ROOT / "docs" / "research" / "articles"
PAGES = [path.read_text("utf-8") for path in sorted(FOLDER.glob("*.md"))]
LARGEST = 150_000  # bytes


def test_tables_are_those_of_the_results() -> None:
    tables = load_script(f"{STUDY}/tables.py")
    shown = [name for page in PAGES for name in re.findall(r"<!-- table: ([\w-]+) -->", page)]
    assert sorted(shown) == sorted(tables.TABLES)
    for page in PAGES:
        assert tables.with_tables(page, ROOT / STUDY / "results") == page
        assert "-->\n<!-- end" not in page  # no table is empty


def test_pictures_are_there_and_small() -> None:
    shown = [name for page in PAGES for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)]
    assert len(shown) >= 5
    for name in shown:
        assert (FOLDER / name).stat().st_size <= LARGEST, name


@pytest.mark.parametrize("scattered", [True, False])
def test_digits_on_a_canvas_keep_their_ink(scattered: bool) -> None:
    random = np.random.default_rng(0)
    digits = np.zeros((30, 12, 12, 1), np.uint8)
    digits[:, 3:9, 4:8] = random.integers(1, 256, (30, 6, 4, 1))
    images = ImageSet(digits, tuple(map(str, range(30))))
    made = load_script(f"{STUDY}/data.py").on_canvas(images, side=16, scattered=scattered, seed=1)
    assert made.shape == (16, 16, 1)
    corners = set()
    for index in range(30):
        ink = made.image(index)[..., 0]
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        top, left = int(rows[0]), int(columns[0])
        assert np.array_equal(ink[top : top + 6, left : left + 4], digits[index, 3:9, 4:8, 0])
        assert np.count_nonzero(ink) == 24
        corners.add((top, left))
    assert len(corners) > 15 if scattered else corners == {(5, 6)}
