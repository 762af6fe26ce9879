"""Learning to denoise from noisy images alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder

from .conftest import THIN, noisy, picture, psnr

SIGMA = 30.0
STEPS = 150


def trained(images: Any, *settings: str) -> Autoencoder:
    return isthmus.train(
        images,
        recipe="denoising",
        settings=[*THIN, "optimiser.rate=0.005", "optimiser.ema=0.98", "objective.image=mse", *settings],
        steps=STEPS,
        precision="float32",
        validation=0,
    )


@pytest.fixture(scope="module")
def clean() -> np.ndarray:
    pictures = np.stack([picture(32, 32, seed=200 + i) for i in range(120)])
    return (pictures * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def noisy_images(clean: np.ndarray) -> np.ndarray:
    shown = clean.astype(np.float32) / np.float32(255)
    return (noisy(shown, SIGMA) * 255).round().clip(0, 255).astype(np.uint8)


def gained(model: Autoencoder) -> float:
    full_picture = picture(96, 96, seed=7)
    given = noisy(full_picture, SIGMA)
    return psnr(isthmus.denoise(given, SIGMA, model), full_picture) - psnr(given, full_picture)


def test_recorrupted_learns_nearly_what_clean_images_teach(
    clean: np.ndarray, noisy_images: np.ndarray
) -> None:
    alone = trained(noisy_images, "corruption=recorrupted")
    # The level was measured on the noisy images themselves.
    assert isinstance(alone.recipe.corruption, axes.Recorrupted)
    assert alone.recipe.corruption.sigma == pytest.approx(SIGMA, rel=0.2)
    assert any("measured on" in note for note in alone.summary["settled"]["notes"])
    taught = trained(clean, f"corruption.sigma={SIGMA}", f"corruption.sigma_low={SIGMA}")
    assert gained(alone) > 5
    assert (
        gained(alone) > gained(taught) - 1.5
    )  # after so few steps; docs/use/denoise-own.md has the real gap


def test_a_blind_spot_learns_without_knowing_the_level(noisy_images: np.ndarray) -> None:
    assert gained(trained(noisy_images, "corruption=blind-spot", "corruption.amount=0.1")) > 2
