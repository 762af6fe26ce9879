"""`isthmus.classify`: shares of right answers, and the files it is saved as."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.errors import DataError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "classify": Parity(
        ["classify", MODEL, "photos", "photos"], lambda: isthmus.classify(MODEL, "photos", "photos")
    ),
    "classify, all options": Parity(
        [
            *("classify", MODEL, "photos", "photos", "--layer", "code", "--neighbours", "3"),
            *("--few-labels", "2", "--draws", "2", "--no-baselines", "--seed", "1"),
            *("-o", "classes.csv", "-o", "confusion.png"),
        ],
        lambda: isthmus.classify(
            MODEL,
            "photos",
            "photos",
            layer="code",
            neighbours=3,
            few_labels=2,
            draws=2,
            baselines=False,
            seed=1,
        ),
    ),
    "classify, old spellings": Parity(
        ["classify", MODEL, "photos", "photos", "--few", "0", "--picture", "confusion.png"],
        lambda: isthmus.classify(MODEL, "photos", "photos", few_labels=0),
    ),
}


@pytest.mark.usefixtures("here")
def test_the_result_is_saved_by_suffix(tmp_path: Path) -> None:
    result = isthmus.classify(MODEL, "photos", "photos", few_labels=2, draws=1)
    assert result.classes == ("left", "right")
    assert result.confusion.sum() == result.test_images == 24
    assert set(result.baselines) == {"pixels", "pca"}
    rows = list(csv.DictReader(result.save(tmp_path / "c.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == [result.classes[index] for index in result.predicted]
    assert set(rows[0]) == {"name", "class", "probability"}
    np.testing.assert_array_equal(np.load(result.save(tmp_path / "c.npz"))["predicted"], result.predicted)
    assert result.save(tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("here")
def test_scaling_never_depends_on_the_test_images() -> None:
    everything = isthmus.classify(MODEL, "photos", "photos", few_labels=0, baselines=False)
    some = isthmus.read("photos").subset([0, 1, 5])
    part = isthmus.classify(MODEL, "photos", some, few_labels=0, baselines=False)
    np.testing.assert_allclose(part.confidence, everything.confidence[[0, 1, 5]], rtol=1e-4)


@pytest.mark.usefixtures("here")
def test_requests_that_cannot_be_met_are_refused() -> None:
    with pytest.raises(UsageError, match="few_labels=-1"):
        isthmus.classify(MODEL, "photos", "photos", few_labels=-1)
    with pytest.raises(DataError, match="no labels"):
        isthmus.classify(MODEL, np.zeros((4, 12, 12), np.uint8), "photos")


@pytest.mark.usefixtures("here")
def test_the_old_keyword_works_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="few= is now few_labels="):
        result = isthmus.classify(MODEL, "photos", "photos", few=0)  # type: ignore[call-arg]
    assert result.few_labels == 0


@pytest.mark.usefixtures("here")
def test_model_and_data_exchanged_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["classify", "photos", MODEL, "photos"]) == 2
    assert "is a model file, but images are expected" in capsys.readouterr().err
