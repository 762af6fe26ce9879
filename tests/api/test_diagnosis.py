"""`isthmus.diagnose`: findings of the training, or anew on other images."""

from __future__ import annotations

import pytest

import isthmus

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "doctor": Parity(["doctor", MODEL], lambda: isthmus.diagnose(MODEL)),
    "doctor, all options": Parity(
        ["doctor", MODEL, "photos", "--seed", "2"], lambda: isthmus.diagnose(MODEL, "photos", seed=2)
    ),
}


@pytest.mark.usefixtures("here")
def test_findings_are_shown_with_what_to_try() -> None:
    model = isthmus.load(MODEL)
    finding = {"name": "copying", "severity": "warning", "message": "it copies", "suggestion": "--code 2"}
    model.summary["findings"] = [finding]
    result = isthmus.diagnose(model)
    (shown,) = result.to_dict()["findings"]
    assert finding.items() <= shown.items()
    assert shown["hint"]["options"] == {"code": "2"}
    assert "it copies" in result.table() and "code='2'" in result.table() and "--" not in result.table()
    model.summary["findings"] = []
    assert isthmus.diagnose(model).summary() == "no problem was found with dense at the end of its training"


@pytest.mark.usefixtures("here")
def test_images_are_examined() -> None:
    result = isthmus.diagnose(MODEL, "photos/left")
    assert result.data == "photos/left"
    assert result.observed is not None and result.observed.images == 12
    assert isthmus.diagnose(MODEL).observed is None
