"""`isthmus.anomalies`: the result, what normal is taken from, and the files it is saved as."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError, ExistsError, UsageError

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
    result = isthmus.anomalies(MODEL, "photos")
    result.save(tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(result.names)
    assert set(rows[0]) == {"name", "score", "chance", "flagged"}
    result.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["scores"], result.scores)
    assert result.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ExistsError):
        result.save(tmp_path / "a.csv")
    with pytest.raises(UsageError, match="must end with"):
        result.save(tmp_path / "a.docx")


@pytest.mark.usefixtures("here")
def test_a_notebook_shows_picture_and_table() -> None:
    result = isthmus.anomalies(MODEL, "photos")
    page = result._repr_html_()
    assert "data:image/png;base64," in page and result.names[result.worst(1)[0]] in page
    assert repr(result).startswith("AnomalyResult(") and "\n" not in repr(result)


def _draw_patterns(count: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(60, 200, (count, 5, 7), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)[..., None]


def test_near_copies_of_normal_pictures_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    normal, others = _draw_patterns(30, 0), _draw_patterns(8, 1)
    model = isthmus.train(normal, recipe="dense", code="2", steps=2)
    others[5] = np.clip(normal[3].astype(int) + 1, 0, 255)
    result = isthmus.anomalies(model, others, normal=normal, score="density")
    notes = [item for item in result.note_details if item["id"] == "evaluation.near-copies"]
    assert [item["fields"]["name"] for item in notes] == ["5"]
    assert sum("a copy or near copy of normal pictures" in line for line in caplog.messages) == 1
    alone = isthmus.anomalies(model, np.delete(others, 5, 0), normal=normal, score="density")
    assert "evaluation.near-copies" not in [item["id"] for item in alone.note_details]


def test_normal_pictures_are_divided_alike_whatever_their_sample_type() -> None:
    normal = _draw_patterns(30, 0)
    model = isthmus.train(normal, recipe="dense", code="2", steps=2)
    alike = [normal, normal.astype(np.uint16) * 257, (normal / 255).astype(np.float32)]
    results = [isthmus.anomalies(model, normal[:4], normal=item, score="density") for item in alike]
    for item in results[1:]:
        assert item.threshold == pytest.approx(results[0].threshold, rel=1e-4)
        np.testing.assert_allclose(item.scores, results[0].scores, rtol=1e-4)


def test_a_gray_model_reads_gray_pictures_that_are_stored_as_rgb(tmp_path: Path) -> None:
    from PIL import Image

    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), np.uint8)
    model = isthmus.train(images, recipe="dense", code="8", steps=2)
    for row, image in enumerate(images[:4]):
        Image.fromarray(image.repeat(3, 2)).save(tmp_path / f"{row}.png")
    gray = isthmus.anomalies(model, images[:4], normal=images, score="density")
    stored_as_rgb = isthmus.anomalies(model, tmp_path, normal=images.repeat(3, 3), score="density")
    np.testing.assert_array_equal(stored_as_rgb.scores, gray.scores)
    coloured = images[:4].repeat(3, 3)
    coloured[0, 0, 0] = (200, 100, 0)
    with pytest.raises(DataError, match="RGB images and the model reads gray"):
        isthmus.anomalies(model, coloured, normal=images, score="density")
