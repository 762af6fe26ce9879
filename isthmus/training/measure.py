"""Short measurements before the first step: does bfloat16 pay here, and how long is a step.

They run on a copy of the model, so that what is trained depends on the seed alone.
"""

from __future__ import annotations

import copy
import time
from dataclasses import replace

import torch

from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.training.options import Settled
from isthmus.training.player import AutoencoderLearner
from isthmus.training.run import Run

WORTH_IT = 1.15  # bfloat16 must be this much faster: below, noise decides and digits are lost for nothing
SECONDS = 1.5


def step_seconds(model: Autoencoder, images: ImageSet, settled: Settled, precision: str) -> float:
    """Median time of a training step of a copy of `model`, after one step of warming up."""
    learner = AutoencoderLearner(copy.deepcopy(model))
    run = Run(learner, images, None, replace(settled, precision=precision), patience=0, balance=False)
    learner.module.train()
    run.step()
    times: list[float] = []
    end = time.monotonic() + SECONDS
    while len(times) < 3 or (time.monotonic() < end and len(times) < 100):
        start = time.monotonic()
        run.step()
        times.append(time.monotonic() - start)
    return sorted(times)[len(times) // 2]


def choose_precision(
    model: Autoencoder, images: ImageSet, settled: Settled, asked: str
) -> tuple[str, float, str]:
    """`(precision, seconds per step, reason)`; only measured when `asked` is `auto`."""
    full = "float32" if asked == "auto" else asked
    seconds = step_seconds(model, images, settled, full)
    if asked != "auto":
        return asked, seconds, f"precision {asked}, as asked"
    if isinstance(model.recipe.bottleneck, axes.Contractive):
        return "float32", seconds, "precision float32: a Jacobian penalty needs its digits"
    if next(model.parameters()).device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "float32", seconds, "precision float32: this GPU has no bfloat16"
    half = step_seconds(model, images, settled, "bfloat16")
    gain = seconds / half
    if gain > WORTH_IT:
        return "bfloat16", half, f"precision bfloat16: {gain:.1f}× the speed of float32 here"
    return "float32", seconds, f"precision float32: bfloat16 is only {gain:.2f}× as fast here"
