"""`benchmarks/new_images.py` trains its GAN where it is asked for and can make such images."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scripts import ROOT, load_script

import isthmus
from isthmus.images.store import ImageSet

MINUTES = 1e-3


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return load_script("benchmarks/new_images.py")


def draw_noise(shape: tuple[int, ...]) -> ImageSet:
    return isthmus.read(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))


def test_the_gan_makes_images_of_the_size_of_others(script: ModuleType, tmp_path: Path) -> None:
    (samples,) = script.draw_gan(draw_noise((8, 16, 16, 3)), MINUTES, 4, tmp_path).values()
    assert (samples.shape, samples.dtype) == ((4, 16, 16, 3), np.uint8)
    assert (tmp_path / "conv_gan.png").exists()


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_gan_learns_from_every_sample_type(dtype: type[Any], white: float) -> None:
    to_levels = load_script("benchmarks/conv_gan.py").to_levels
    pixels = np.array([0, white], dtype).reshape(2, 1, 1, 1)
    assert to_levels(pixels).flatten().tolist() == [-1, 1]


@pytest.mark.parametrize("size", [(16, 12), (12, 12), (4, 4)])
def test_the_gan_is_skipped_with_a_line_where_it_cannot_run(
    size: tuple[int, int], script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.draw_gan(draw_noise((8, *size, 1)), MINUTES, 4, tmp_path) == {}
    assert capsys.readouterr().out.startswith("conv-gan is skipped: the images are not square")


def test_the_gan_is_trained_only_where_it_is_asked_for(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str) -> Any:
        def raise_name(*_: object) -> None:
            raise RuntimeError(name)

        return raise_name

    monkeypatch.setattr(script, "draw_gan", stop("the GAN"))
    monkeypatch.setattr(script, "train", stop("a recipe"))
    np.save(tmp_path / "images.npy", np.zeros((8, 16, 16, 1), np.uint8))
    for recipes, first in (("variational", "a recipe"), ("variational,conv-gan", "the GAN")):
        words = [str(tmp_path / "images.npy"), "--recipes", recipes, "--out", str(tmp_path)]
        monkeypatch.setattr(sys, "argv", ["new_images.py", *words])
        with pytest.raises(RuntimeError, match=first):
            script.main()
