"""Tiny data and models that train in a second."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

TINY = ("backbone.width=8", "backbone.blocks=0")
TINY_DENSE = ("backbone.width=16",)


def discs(
    count: int, *, size: tuple[int, int] = (16, 16), seed: int = 0, channels: int = 1
) -> npt.NDArray[np.uint8]:
    """`(N, H, W, C)`: a bright disc at a random place of each image."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    images = np.empty((count, *size, channels), dtype=np.uint8)
    for image in images:
        y, x, radius = random.uniform(3, size[0] - 3), random.uniform(3, size[1] - 3), random.uniform(2, 5)
        inside = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
        image[:] = np.where(inside, 220, 30)[..., None]
    return images


def black_and_white(count: int, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    return ((discs(count, seed=seed) > 100) * 255).astype(np.uint8)


def trained(
    data: str | ImageSet | npt.NDArray[np.uint8],
    recipe: str,
    *settings: str,
    code: str | None = None,
    steps: int = 20,
) -> Autoencoder:
    own = TINY_DENSE if recipe == "dense" else TINY
    return train_model(
        data,
        TrainConfig(steps=steps, precision="float32"),
        recipe=recipe,
        code=code,
        settings=[*own, *settings],
    )
