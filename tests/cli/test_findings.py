"""What the training doctor noticed is said by `train`, kept in the model, and shown by other commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.__main__ import main

from .conftest import QUICK

Capture = pytest.CaptureFixture[str]
Document = Callable[..., dict[str, Any]]


@pytest.fixture
def dark(here: Path) -> Path:
    """The photos again, a tenth as bright, and a model trained on them."""
    for source in sorted((here / "photos").rglob("*.png")):
        target = here / "dark" / source.relative_to(here / "photos")
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(Image.open(source)) // 10).save(target)
    assert main(["train", "dark", *QUICK, "--quiet"]) == 0
    return here


def test_train_warns_also_when_quiet(dark: Path, capsys: Capture) -> None:  # noqa: ARG001
    capsys.readouterr()
    assert main(["train", "dark", *QUICK, "-o", "again.safetensors", "--quiet"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("isthmus: warning: ") for line in lines)
    (line,) = [line for line in lines if "data-range: the images use only" in line]
    assert "try stretching" in line


def test_findings_are_in_the_json_of_train_info_and_evaluate(dark: Path, document: Document) -> None:  # noqa: ARG001
    trained = document("train", "dark", *QUICK, "-o", "again.safetensors", "-q")["findings"]
    assert trained
    assert all(sorted(item) == ["hint", "message", "name", "severity", "suggestion"] for item in trained)
    assert document("info", "again.safetensors")["summary"]["findings"] == trained
    assert document("evaluate", "again.safetensors", "dark")["model"]["findings"] == trained
    assert document("doctor", "again.safetensors")["findings"] == trained


def test_info_and_the_report_show_them(dark: Path, capsys: Capture) -> None:
    assert main(["info", "dark.safetensors"]) == 0
    assert "data-range: the images use only" in capsys.readouterr().out
    assert main(["evaluate", "dark.safetensors", "dark", "-o", "r.html", "-q"]) == 0
    assert "the images use only" in (dark / "r.html").read_text("utf-8")


@pytest.mark.usefixtures("dark")
def test_the_doctor_examines_a_training_on_other_images(document: Document, capsys: Capture) -> None:
    assert main(["doctor", "photos.safetensors", "photos"]) == 0
    assert "data-range" not in capsys.readouterr().out
    anew = document("doctor", "photos.safetensors", "dark")
    assert "data-range" in {finding["name"] for finding in anew["findings"]}
    assert anew["observed"]["images"] == 10
    assert document("doctor", "photos.safetensors")["observed"] is None


def test_a_doctor_given_images_for_a_model_says_so(here: Path, capsys: Capture) -> None:  # noqa: ARG001
    assert main(["doctor", "photos", "photos.safetensors"]) == 2
    err = capsys.readouterr().err
    assert "hint: isthmus doctor photos.safetensors photos" in err
    assert main(["doctor", "photos.safetensors", "other.safetensors"]) == 2
    assert "images are expected in its place" in capsys.readouterr().err
