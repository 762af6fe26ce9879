"""Small data and small recipes that the tests of this folder share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from isthmus.images.store import ImageSet, Ragged
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model
from isthmus.training.trainer import Trainer
from isthmus.training.trainer_setup import Observers, start_training

Array = npt.NDArray[Any]

WIDTHS = {"on-codes": 16, "on-images": 4}
NARROW: dict[str, tuple[str, ...]] = {
    "dense": ("backbone.width=24",),
    "conv": ("backbone.width=8", "backbone.blocks=1"),
    "stacked": ("backbone.width=8-8", "backbone.decoder=auto"),
    "recurrent": ("backbone.width=16",),
    "attention": ("backbone.width=16", "backbone.depth=1", "backbone.heads=2"),
    "filters": ("backbone.side=5",),
    "unet": ("backbone.width=4-4",),
    "components": ("backbone.width=4-8", "backbone.blocks=1", "backbone.stem=2"),
}
CRITIC = {name: [f"critic.width={width}"] for name, width in WIDTHS.items()}


def small(name: str, *settings: str, code: str | None = None) -> Recipe:
    """A named recipe with thin networks and a code of 8 numbers, or of 32 channels where it is a grid."""
    recipe = RECIPES[name]()
    thin = list(NARROW[recipe.backbone.kind])
    thin += CRITIC.get(recipe.critic.kind, [])
    if recipe.bottleneck.kind == "top-k":
        thin.append("bottleneck.k=3")
    channels, at, stride = recipe.code.partition("@")
    thin_code = f"{min(int(channels), 32)}@{stride}" if at else "8" if recipe.code.isdigit() else recipe.code
    code_shape = code or thin_code
    return recipe.with_settings([*thin, "optimiser.batch=8", f"code={code_shape}", *settings])


def pictures(count: int = 40, size: tuple[int, int] = (12, 12), seed: int = 0, channels: int = 1) -> Array:
    """`(N, H, W, C)` uint8: soft blobs at random places, so that there is something to learn."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    tops, lefts = random.random((2, count, 1, 1)) * np.array(size).reshape(2, 1, 1, 1)
    distance = (rows - tops) ** 2 + (columns - lefts) ** 2
    blobs = np.exp(-distance / (0.08 * size[0] * size[1]))[..., None] * random.random((count, 1, 1, channels))
    return np.asarray(blobs * 255, dtype=np.uint8)


def mixed_sizes(count: int = 30) -> ImageSet:
    """Images of many sizes, from which crops are cut."""
    random = np.random.default_rng(3)
    shapes = np.stack(
        [random.integers(10, 40, count), random.integers(10, 40, count), np.ones(count, int)], 1
    )
    parts = [pictures(1, (int(h), int(w)), seed=i).reshape(-1) for i, (h, w, _) in enumerate(shapes)]
    offsets = np.cumsum([0, *(len(p) for p in parts)])[:-1].astype(np.int64)
    pixels = Ragged(np.concatenate(parts), offsets, shapes.astype(np.int64))
    return ImageSet(pixels, tuple(map(str, range(count))))


def labelled(count: int = 40) -> ImageSet:
    labels = np.arange(count, dtype=np.int64) % 3 // 2  # two of one class for one of the other
    return ImageSet(pictures(count), tuple(map(str, range(count))), labels, ("few", "many"))


def run_training(data: Any, **how: Any) -> Autoencoder:
    """`train_model` with the fields of its configuration and of its observers as keywords."""
    config = TrainConfig(**_take(how, TrainConfig))
    return train_model(data, config, observers=Observers(**_take(how, Observers)), **how)


def open_training(
    data: Any, recipe: Recipe, *, val: Any = None, clock: Any = None, **options: Any
) -> Trainer:
    """A trainer before its first step."""
    timing = {} if clock is None else {"clock": clock}
    return start_training(data, TrainConfig(**options), recipe=recipe, val=val, **timing)[0]


def _take(options: dict[str, Any], kind: type) -> dict[str, Any]:
    return {field.name: options.pop(field.name) for field in fields(kind) if field.name in options}


def train(data: Any, recipe: str | Recipe, **options: Any) -> Autoencoder:
    """`isthmus.train` with everything given that would otherwise be measured."""
    return run_training(data, recipe=recipe, **{"steps": 10, "precision": "float32", **options})


def stop_after(patch: pytest.MonkeyPatch, steps: int | None) -> None:
    """Let the next trainings be asked to stop after so many of their steps; None: never."""

    @contextlib.contextmanager
    def counting() -> Iterator[Callable[[], bool]]:
        taken = 0

        def ask() -> bool:
            nonlocal taken
            taken += 1
            return taken == steps

        yield ask

    patch.setattr("isthmus.training.session.stop_on_signal", counting)
