"""`isthmus.anomalies`: the result, what normal is taken from, and the files it is saved as."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import ExistsError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "anomalies": Parity(["anomalies", MODEL, "photos"], lambda: isthmus.anomalies(MODEL, "photos")),
    "anomalies, all options": Parity(
        [
            *(
                "anomalies",
                MODEL,
                "photos",
                "--normal",
                "photos",
                "--score",
                "neighbour",
                "--false-alarms",
                "0.4",
            ),
            *("--no-tiles", "--limit", "4", "--seed", "3", "-o", "scores.csv", "-o", "worst.png"),
        ],
        lambda: isthmus.anomalies(
            MODEL,
            "photos",
            normal="photos",
            score="neighbour",
            false_alarms=0.4,
            tiles=False,
            limit=4,
            seed=3,
        ),
    ),
}


@pytest.mark.usefixtures("here")
def test_one_image_scores_as_it_does_among_others() -> None:
    everything = isthmus.anomalies(MODEL, "photos")
    row = everything.names.index("left/1.png")
    alone = isthmus.anomalies(MODEL, "photos/left/1.png")
    assert alone.scores[0] == pytest.approx(everything.scores[row], rel=1e-5)
    assert alone.reference == everything.reference


@pytest.mark.usefixtures("here")
def test_the_result_is_saved_by_suffix(tmp_path: Path) -> None:
    found = isthmus.anomalies(MODEL, "photos")
    found.save(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(found.names)
    assert set(rows[0]) == {"name", "score", "chance", "flagged"}
    found.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["scores"], found.scores)
    assert found.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ExistsError):
        found.save(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="suffix"):
        found.save(tmp_path / "a.docx")


@pytest.mark.usefixtures("here")
def test_a_notebook_shows_picture_and_table() -> None:
    found = isthmus.anomalies(MODEL, "photos")
    page = found._repr_html_()
    assert "data:image/png;base64," in page and found.names[found.worst(1)[0]] in page
    assert repr(found).startswith("AnomalyResult(") and "\n" not in repr(found)
