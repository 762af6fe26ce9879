"""Small networks of each kind, trained for a moment, and pictures to restore."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

import isthmus
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import RECIPES

Array = npt.NDArray[np.float32]
THIN = ("backbone.width=8-12", "backbone.blocks=1", "code=12@4", "optimiser.batch=8")


def picture(height: int, width: int, *, channels: int = 1, seed: int = 0) -> Array:
    """`(H, W, C)` float32: soft blobs with a few edges, of about the range of a photograph."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    image = np.full((height, width, channels), 0.3)
    for _ in range(12):
        top, left, size = random.random(3) * (height, width, 0.3 * max(height, width))
        inside = (rows - top) ** 2 + (columns - left) ** 2 < (size + 3) ** 2
        image[inside] = random.random(channels) * 0.8 + 0.1
    return image.astype(np.float32)


def noisy(image: Array, sigma: float, seed: int = 1) -> Array:
    noise = np.random.default_rng(seed).normal(size=image.shape) * sigma / 255
    return (image + noise).astype(np.float32)


def psnr(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> float:
    return float(-10 * np.log10(((first - second) ** 2).mean()))


def _trained(recipe: str, channels: int) -> Autoencoder:
    pictures = np.stack([picture(32, 32, channels=channels, seed=100 + i) for i in range(80)])
    return isthmus.train(
        pictures,
        recipe=recipe,
        settings=[*THIN, "optimiser.rate=0.005", "optimiser.ema=0.98"],
        steps=150,
        precision="float32",
        validation=0,
    )


@pytest.fixture(scope="session")
def denoiser() -> Autoencoder:
    """Gray."""
    return _trained("denoising", 1)


@pytest.fixture(scope="session")
def inpainter() -> Autoencoder:
    """Colour."""
    return _trained("inpainting", 3)


@pytest.fixture(scope="session")
def rough() -> Autoencoder:
    """An untrained gray denoiser that changes much, from as far as it can see."""
    model = build(RECIPES["denoising"]().with_settings(THIN), channels=1, size=(32, 32)).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = torch.randn(parameter.shape, generator=generator) * (
                1.2 / parameter[0].numel() ** 0.5
            )
    return model.requires_grad_(False)
