"""`isthmus.train`: what follows a training, the report, and one answer for Python and the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

QUICK: dict[str, Any] = {
    "recipe": "dense",
    "code": "3",
    "settings": ["backbone.width=8"],
    "steps": 4,
    "precision": "float32",
}
WORDS = [
    *("train", "photos", "--recipe", "dense", "--code", "3", "--set", "backbone.width=8", "--steps", "4"),
    *("--precision", "float32"),
]
# Pace is a time, too; Python's model is not written.
PARITY = {
    "train": Parity([*WORDS, "-o", "a.safetensors"], lambda: isthmus.train("photos", **QUICK)),
    "train, all options": Parity(
        [
            *(*WORDS, "--val", "photos/left", "--size", "12", "--crop", "8x10", "--validation", "0.2"),
            *(
                "--patience",
                "3",
                "--balance",
                "--augment-orientations",
                "--augment-mirror",
                "--seed",
                "5",
                "--cache",
                "pixels",
            ),
            *("--checkpoint-seconds", "5", "-o", "a.safetensors"),
        ],
        lambda: isthmus.train(
            "photos",
            **QUICK,
            val="photos/left",
            size=12,
            crop=(8, 10),
            validation=0.2,
            patience=3,
            balance=True,
            augment_orientations=True,
            augment_mirror=True,
            seed=5,
            cache="pixels",
            checkpoint_seconds=5,
            out="b.safetensors",
        ),
    ),
    "train, from a model": Parity(
        ["train", "photos", "--start-from", "photos.safetensors", "--steps", "2", "-o", "a.safetensors"],
        lambda: isthmus.train("photos", start_from="photos.safetensors", steps=2),
    ),
    "train --dry-run": Parity([*WORDS, "--dry-run"], lambda: isthmus.plan_training("photos", **QUICK)),
}


@pytest.mark.usefixtures("here")
def test_a_model_keeps_its_feature_extractor_and_loading_changes_nothing() -> None:
    model = isthmus.train("photos", **QUICK, out="m.safetensors")
    fresh = isthmus.embed(model, "photos/left")
    Path("photos").rename("moved")
    again = isthmus.embed("m.safetensors", "moved/left")
    assert fresh.reference == again.reference == "model"
    np.testing.assert_array_equal(fresh.vectors, again.vectors)


@pytest.mark.usefixtures("here")
def test_the_order_of_training_files_changes_no_vector() -> None:
    before = isthmus.embed("photos.safetensors", "photos/left")
    first, second = Path("photos/left/1.png"), Path("photos/right/2.png")
    first.rename("photos/x.png")
    second.rename(first)
    Path("photos/x.png").rename(second)
    after = isthmus.embed("photos.safetensors", "photos/left")
    np.testing.assert_array_equal(before.vectors[1:], after.vectors[1:])


def test_a_codec_trained_in_python_writes_files() -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    settings = ["backbone.width=8"]
    model = isthmus.train(images, recipe="codec", code="16@8", settings=settings, steps=3, crop=64)
    data = isthmus.compress(images[0], model=model)
    assert isthmus.decompress(data, model=model).shape == (64, 64, 3)


@pytest.mark.usefixtures("here")
def test_the_report_stays_with_the_file() -> None:
    model = isthmus.train("photos", **QUICK, out="m.safetensors")
    fresh, stored = model.training_report.to_dict(), isthmus.describe_training("m.safetensors").to_dict()
    assert stored.pop("model") == "m.safetensors" and fresh.pop("model") is None
    assert fresh == stored


def test_options_of_version_0_1_are_taken_with_a_warning() -> None:
    images = np.zeros((20, 8, 8, 1), dtype=np.uint8)
    with pytest.warns(DeprecationWarning, match="augment_orientations"):
        model = isthmus.train(images, recipe="dense", code="2", steps=1, turn=True)
    assert model.summary["options"]["turn"] is True
    with pytest.raises(UsageError, match="no option 'patiance'; did you mean 'patience'"):
        isthmus.train(images, patiance=3)


def test_a_plan_names_an_option_that_it_has_not() -> None:
    images = np.zeros((20, 8, 8, 1), dtype=np.uint8)
    with pytest.raises(UsageError, match="plan_training has no option 'patiance'; did you mean 'patience'"):
        isthmus.plan_training(images, patiance=3)


def test_a_generative_model_gets_more_time_than_others() -> None:
    images = np.zeros((20, 16, 16, 1), dtype=np.uint8)
    thin = ["backbone.width=4-8", "code=3"]
    plan = isthmus.plan_training(images, recipe="generative", settings=thin)
    assert plan.seconds > 600 > isthmus.plan_training(images, recipe="dense").seconds
