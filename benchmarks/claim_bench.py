"""What every claim of `claims.py` needs: trainings that are run once, and measurements of the test split."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import isthmus
from isthmus.evaluation.code_metrics import CodeUse
from isthmus.evaluation.passes import iter_passes
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.images.subsets import sample_evenly
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder


@dataclass(frozen=True)
class Line:
    """One claim: what was found, in words with numbers, whether it holds, and the numbers by name."""

    family: str
    claim: str
    found: str
    holds: bool
    numbers: dict[str, float]


@dataclass(frozen=True)
class Bench:
    """Trains and measures; the same training is never run twice.

    Args:
        minutes: of each training; out: where pictures go.
        steps: length of each training instead of minutes, in float32; seed: of each training.
    """

    minutes: float
    out: Path
    steps: int | None = None
    seed: int = 0

    @functools.cache  # noqa: B019 (one bench lives as long as the program)
    def train(self, recipe: str, code: str, settings: tuple[str, ...], data: str = "mnist") -> Autoencoder:
        length: dict[str, Any] = {"minutes": self.minutes}
        if self.steps is not None:
            length = {"steps": self.steps, "precision": "float32"}
        model = isthmus.train(data, recipe=recipe, code=code, settings=settings, seed=self.seed, **length)
        print(f"  trained {recipe} {code} {' '.join(settings)}: {model.summary['steps']} steps", flush=True)
        return model


@functools.cache
def test_set(name: str = "mnist") -> ImageSet:
    images: ImageSet = isthmus.read(f"{name}:test")
    return images


def some(images: ImageSet, count: int) -> Tensor:
    """`(count, C, H, W)`, evenly spaced."""
    return next(iter(iter_batches(sample_evenly(images, count), batch=count))).images


@dataclass(frozen=True)
class Measured:
    mse: float
    use: CodeUse
    codes: Tensor  # (N, units)


@functools.cache
def measured(model: Autoencoder, data: str = "mnist", corruption: axes.Corruption | None = None) -> Measured:
    images = test_set(data)
    use, error, codes = CodeUse(model, len(images)), 0.0, []
    for batch in iter_passes(model, images, corruption=corruption or axes.NoCorruption(), seed=0):
        use.add(batch.trace, batch.images.shape[-2] * batch.images.shape[-1])
        error += float((batch.output - batch.images).square().mean((1, 2, 3)).sum())
        codes.append(batch.trace.code.values.flatten(1))
    return Measured(error / len(images), use, torch.cat(codes))
