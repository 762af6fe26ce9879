"""The training images of a model of version 0.1 are found again where its file says they were."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import isthmus

from .checks import run

LIMIT = 2000  # `evaluate` measures at most so many of them


@pytest.mark.parametrize("name", ["conv", "options", "codec", "named"])
def test_the_training_images_are_found(name: str, apart: Path, unpacked: Path) -> None:
    # `photos` and `colour.npz` lie in the working folder; `fashion-sample` comes with the package.
    model = unpacked / "models" / f"{name}.safetensors"
    data = {"codec": "colour.npz", "named": "fashion-sample:test"}.get(name, "photos")
    document = run("evaluate", str(model), data, "--limit", "6")
    assert (apart / "photos").is_dir()
    assert document["gap"] is not None
    assert document["gap"]["images"] == min(LIMIT, isthmus.load(model).summary["data"]["images"])
    assert set(document["baselines"]) == {"pca", "mean_image"}


def test_images_that_changed_are_not_taken_for_them(apart: Path, unpacked: Path) -> None:
    shutil.copy(apart / "frames" / "0" / "00.png", apart / "photos" / "disc" / "01.png")
    document = run("evaluate", str(unpacked / "models" / "conv.safetensors"), "frames")
    assert document["gap"] is None


def test_a_fit_without_data_uses_them(apart: Path, unpacked: Path) -> None:
    model = shutil.copy(unpacked / "models" / "conv.safetensors", apart)
    document = run("anomalies", str(model), "frames", "--score", "density")
    # Those that the network was trained on, and those that it held out, which calibrate.
    data = isthmus.load(model).summary["data"]
    assert document["normal_images"] == data["images"] + data["held_out"]
