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
    found = isthmus.diagnose(model)
    (shown,) = found.to_dict()["findings"]
    assert finding.items() <= shown.items()
    assert shown["hint"]["options"] == {"code": "2"}
    assert "it copies" in found.table() and "code='2'" in found.table() and "--" not in found.table()
    model.summary["findings"] = []
    assert isthmus.diagnose(model).summary() == "no problem was found with dense at the end of its training"


@pytest.mark.usefixtures("here")
def test_images_are_examined() -> None:
    found = isthmus.diagnose(MODEL, "photos/left")
    assert found.data == "photos/left"
    assert found.observed is not None and found.observed.images == 12
    assert isthmus.diagnose(MODEL).observed is None
