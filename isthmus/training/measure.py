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
SECONDS = 1.5  # of each precision, where the length of the training hangs on them
GLANCE = 0.5  # of each, where only the faster one is wanted


def step_times(
    model: Autoencoder,
    images: ImageSet,
    settled: Settled,
    precisions: tuple[str, ...],
    seconds: float = SECONDS,
) -> dict[str, list[float]]:
    """Seconds of single training steps of copies of `model`, ascending, after one step of warming up.

    The precisions take turns, so that a machine that is busy for a moment slows them alike.

    Args:
        seconds: to spend on each precision.
    """
    runs: dict[str, Run] = {}
    for precision in precisions:
        learner = AutoencoderLearner(copy.deepcopy(model))
        learner.module.train()
        asked = replace(settled, precision=precision)
        runs[precision] = Run(learner, images, None, asked, patience=0, balance=False)
        runs[precision].step()
    times: dict[str, list[float]] = {precision: [] for precision in precisions}
    end = time.monotonic() + seconds * len(precisions)
    rounds = 0
    while rounds < 3 or (time.monotonic() < end and rounds < 100):
        for precision, run in runs.items():
            start = time.monotonic()
            run.step()
            if run.device.type != "cpu":
                torch.accelerator.synchronize()  # a step has only been handed over until then
            times[precision].append(time.monotonic() - start)
        rounds += 1
    return {precision: sorted(found) for precision, found in times.items()}


def choose_precision(
    model: Autoencoder, images: ImageSet, settled: Settled, asked: str, *, timed: bool
) -> tuple[str, float, str]:
    """`(precision, seconds per step, reason)`.

    `timed`: the length of the training hangs on the seconds. Otherwise nothing is measured where `asked` is
    not `auto`, and the seconds are 0.
    """
    if asked != "auto" and not timed:
        return asked, 0.0, f"precision {asked}, as asked"
    reason = _no_choice(model, asked)
    precisions = (asked,) if asked != "auto" else ("float32",) if reason else ("float32", "bfloat16")
    times = step_times(model, images, settled, precisions, SECONDS if timed else GLANCE)
    mean = {precision: sum(found) / len(found) for precision, found in times.items()}
    if reason is not None:
        return precisions[0], mean[precisions[0]], f"precision {precisions[0]}{reason}"
    # The lower quartile is what the machine can do; the mean is what it does, and what plans the length.
    full, half = (found[len(found) // 4] for found in times.values())
    gain = full / half
    if gain > WORTH_IT:
        return "bfloat16", mean["bfloat16"], f"precision bfloat16: {gain:.1f}× the speed of float32 here"
    return "float32", mean["float32"], f"precision float32: bfloat16 is only {gain:.2f}× as fast here"


def _no_choice(model: Autoencoder, asked: str) -> str | None:
    if asked != "auto":
        return ", as asked"
    if isinstance(model.recipe.bottleneck, axes.Contractive):
        return ": a Jacobian penalty needs its digits"
    if next(model.parameters()).device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return ": this GPU has no bfloat16"
    return None
