"""`isthmus.evaluate`: one answer from both interfaces, files, and the old name."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError, UsageError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "evaluate": Parity(["evaluate", MODEL, "photos"], lambda: isthmus.evaluate(MODEL, "photos")),
    "evaluate, all options": Parity(
        [
            *("evaluate", MODEL, "photos/left", "--reference", "photos/right"),
            *("--privacy", "--generation", "--samples", "9", "--limit", "11", "--seed", "3"),
            *("-o", "scores.csv"),
        ],
        lambda: isthmus.evaluate(
            MODEL,
            "photos/left",
            reference="photos/right",
            privacy=True,
            generation=True,
            samples=9,
            limit=11,
            seed=3,
        ),
    ),
}


@pytest.mark.usefixtures("here")
def test_the_result_is_saved_by_suffix(tmp_path: Path) -> None:
    result = isthmus.evaluate(MODEL, "photos", limit=6)
    rows = list(csv.DictReader(result.save(tmp_path / "a.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(result.names)
    assert float(rows[0]["mse"]) == pytest.approx(result.scores["mse"][0], rel=1e-5)
    np.testing.assert_array_equal(np.load(result.save(tmp_path / "a.npz"))["psnr"], result.scores["psnr"])
    page = result.save(tmp_path / "a.html").read_text("utf-8")
    assert "<h2>Worst</h2>" in page and "6 images of photos" in page


@pytest.mark.usefixtures("here")
def test_the_model_of_the_caller_gets_no_prior() -> None:
    network = isthmus.load(MODEL)
    before = set(network.attachments)
    result = isthmus.evaluate(network, "photos", generation=True)
    assert result.generation is not None and "for this call only" in " ".join(result.notes)
    assert set(network.attachments) == before


@pytest.mark.usefixtures("here")
def test_privacy_needs_the_training_images() -> None:
    network = isthmus.load(MODEL)
    network.summary["data"]["source"] = "elsewhere"
    with pytest.raises(DataError) as caught:
        isthmus.evaluate(network, "photos", privacy=True)
    assert "reference=DATA" in str(caught.value.hint)
    with pytest.raises(UsageError, match="samples=3"):
        isthmus.evaluate(network, "photos", samples=3)


@pytest.mark.usefixtures("here")
def test_the_old_name_still_works() -> None:
    with pytest.warns(DeprecationWarning, match=r"isthmus\.evaluate"):
        old = isthmus.evaluate_model(isthmus.load(MODEL), "photos", train="photos/left")
    new = isthmus.evaluate(MODEL, "photos", reference="photos/left")
    assert old.metrics == new.metrics and old.baselines == new.baselines
