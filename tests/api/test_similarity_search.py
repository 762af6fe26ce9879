"""`isthmus.search`: matches, and the index that is kept only where it is asked for."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.api.similarity_search import SearchResult
from isthmus.errors import UsageError

from .parity import Parity

MODEL = "photos.safetensors"
LIKE = "photos/left/1.png"


def search_anew(*given: str, index: str, **options: Any) -> SearchResult:
    """Without the index that was kept before."""
    Path(index).unlink()
    return isthmus.search(*given, index=index, **options)


PARITY = {
    "search": Parity(
        ["search", MODEL, "photos", "--like", LIKE], lambda: isthmus.search(MODEL, "photos", LIKE)
    ),
    "search, all options": Parity(
        [
            *("search", MODEL, "photos", "--like", "photos/left", "-n", "3", "--metric", "l2"),
            *("--layer", "code", "--limit", "20", "--index", "one.safetensors"),
            *("-o", "found.png", "-o", "found.csv"),
        ],
        lambda: search_anew(
            MODEL,
            "photos",
            "photos/left",
            count=3,
            metric="l2",
            layer="code",
            limit=20,
            index="one.safetensors",
        ),
    ),
    "search, old spellings": Parity(
        ["search", MODEL, "photos", "--like", LIKE, "--no-index", "--picture", "found.png"],
        lambda: isthmus.search(MODEL, "photos", LIKE),
    ),
}


@pytest.mark.usefixtures("here")
def test_the_result_is_saved_by_suffix(tmp_path: Path) -> None:
    result = isthmus.search(MODEL, "photos", "photos/left", count=4)
    assert result.queries[0] == "1.png" and result.matches[0][0].name == "left/1.png"
    assert result.matches[0][0].value == pytest.approx(1, abs=1e-5)
    rows = list(csv.DictReader(result.save(tmp_path / "s.csv").read_text().splitlines()))
    assert len(rows) == 4 * len(result.queries)
    assert rows[0]["match"] == "left/1.png" and int(rows[0]["row"]) == result.matches[0][0].row
    assert np.load(result.save(tmp_path / "s.npz"))["rows"].shape == (12, 4)
    assert result.save(tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


def test_an_index_is_kept_where_it_is_asked_for_and_follows_the_folder(here: Path) -> None:
    before = sorted(here.iterdir())
    assert isthmus.search(MODEL, "photos", LIKE).index is None
    assert sorted(here.iterdir()) == before
    first = isthmus.search(MODEL, "photos", LIKE, count=3, index="kept.safetensors")
    assert (first.index, first.added, first.removed) == (Path("kept.safetensors"), 24, 0)
    new = here / "photos" / "left" / "new.png"
    for value, removed in ((90, 0), (120, 1)):
        Image.fromarray(np.full((12, 12), value, np.uint8)).save(new)
        again = isthmus.search(MODEL, "photos", LIKE, count=3, index="kept.safetensors")
        assert (again.added, again.removed) == (1, removed)
    assert again.matches[0][0] == first.matches[0][0]


def test_an_index_that_cannot_be_written_does_not_lose_the_answer(here: Path) -> None:
    (here / "file").write_text("not a folder")
    result = isthmus.search(MODEL, "photos", LIKE, index="file/kept.safetensors")
    assert result.index is None and result.index_error is not None
    assert result.matches == isthmus.search(MODEL, "photos", LIKE).matches


@pytest.mark.usefixtures("here")
def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(UsageError, match="count=0"):
        isthmus.search(MODEL, "photos", LIKE, count=0)
    with pytest.raises(UsageError, match="metric 'l1'"):
        isthmus.search(MODEL, "photos", LIKE, metric="l1")  # type: ignore[arg-type]
