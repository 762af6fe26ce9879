"""A small trained-looking model and images with two obvious classes, for the tests of this folder."""

from __future__ import annotations

import functools

import numpy as np

from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import RECIPES
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

SIDE = 12


def discs(count: int, seed: int = 0, side: int = SIDE) -> ImageSet:
    """Bright discs on the left or on the right: two classes of small gray images."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side]
    labels = np.arange(count) % 2
    pixels = np.zeros((count, side, side, 1), np.uint8)
    for index, label in enumerate(labels):
        y = random.uniform(3.5, side - 4.5)
        x = side * (0.3 if label == 0 else 0.7) + random.uniform(-0.7, 0.7)
        radius = random.uniform(1.6, 2.6)
        distance = np.hypot(rows - y, columns - x)
        pixels[index, ..., 0] = np.clip((radius + 0.7 - distance) * 255, 0, 255)
    names = tuple(f"{('left', 'right')[k]}/{i}.png" for i, k in enumerate(labels))
    return ImageSet(pixels, names, labels.astype(np.int64), ("left", "right"), source="discs")


@functools.cache
def trained(code: str = "4", *settings: str) -> Autoencoder:
    """A model trained for a moment; not to be changed, see `fresh`."""
    recipe = "dense" if "@" not in code else "conv"
    width, steps = ("48", 260) if recipe == "dense" else ("16", 50)
    return train_model(
        discs(240),
        TrainConfig(steps=steps, precision="float32", patience=0),
        recipe=recipe,
        code=code,
        settings=[f"backbone.width={width}", *settings],
    )


def fresh(code: str = "4", *settings: str) -> Autoencoder:
    """The same model with nothing attached."""
    model = trained(code, *settings)
    model.attachments.clear()
    return model


def untrained(name: str, *settings: str) -> Autoencoder:
    """A named recipe with a code of 8 numbers, as it is before training."""
    recipe = RECIPES[name]().with_settings(["code=8", *settings])
    return build(recipe, channels=1, size=(SIDE, SIDE))
