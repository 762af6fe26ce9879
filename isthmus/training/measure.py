"""Short measurements before the first step: does bfloat16 pay here, and how long is a step.

They run on a copy of the model, so that what is trained depends on the seed alone.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch

from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.model.autoencoder import Autoencoder
from isthmus.training.clock import Clock, monotonic
from isthmus.training.options import Settled
from isthmus.training.player import AutoencoderLearner
from isthmus.training.run import Run

WORTH_IT = 1.15  # bfloat16 must be this much faster: below, noise decides and digits are lost for nothing
SECONDS = 1.5  # of each precision, where a first plan of the length hangs on them
GLANCE = 0.5  # of each, where only the faster one is wanted
BUDGET_SHARE = 0.03  # of a training's time that measuring takes at most, as far as steps are short enough


def step_times(
    model: Autoencoder,
    images: ImageSet,
    settled: Settled,
    precisions: tuple[str, ...],
    seconds: float = SECONDS,
    limit: float = math.inf,
    clock: Clock = monotonic,
) -> dict[str, list[float]]:
    """Seconds of single training steps of copies of `model`, ascending, after one step of warming up.

    The precisions take turns, so that a machine that is busy for a moment slows them alike.

    Args:
        seconds: to spend on each precision.
        limit: to spend on all together. Where the first steps take longer nothing else is measured, and the
            result has the first precision's alone.
    """
    began = clock()
    runs: dict[str, Run] = {}
    first_steps: list[float] = []
    for precision in precisions:
        learner = AutoencoderLearner(copy.deepcopy(model))
        learner.module.train()
        asked = replace(settled, precision=precision)
        runs[precision] = Run(learner, images, None, asked, patience=0, balance=False)
        first_steps.append(_timed_step(runs[precision], clock))
        if sum(first_steps) > limit:
            return {precisions[0]: first_steps[:1]}
    times: dict[str, list[float]] = {precision: [] for precision in precisions}
    end, rounds = clock() + seconds * len(precisions), 0
    while rounds < 1 or (clock() < began + limit and (rounds < 3 or (clock() < end and rounds < 100))):
        for precision, run in runs.items():
            times[precision].append(_timed_step(run, clock))
        rounds += 1
    return {precision: sorted(found) for precision, found in times.items()}


def _timed_step(run: Run, clock: Clock) -> float:
    start = clock()
    run.step()
    if run.device.type != "cpu":
        torch.accelerator.synchronize()  # a step has only been handed over until then
    return clock() - start


def choose_precision(
    model: Autoencoder,
    images: ImageSet,
    settled: Settled,
    asked: str,
    *,
    minutes: float | None,
    clock: Clock = monotonic,
) -> tuple[str, float, str]:
    """`(precision, seconds per step, reason)`.

    Args:
        minutes: the training's length in time; where it has another, nothing is measured unless `asked` is
            `auto`, and the seconds are 0 where nothing was.
    """
    if asked != "auto" and minutes is None:
        return asked, 0.0, Message("precision {asked}, as asked", id="choice.precision-asked", asked=asked)
    reason = _no_choice(model, asked)
    precisions = (asked,) if asked != "auto" else ("float32",) if reason else ("float32", "bfloat16")
    seconds, limit = GLANCE, math.inf
    if minutes is not None:
        limit = BUDGET_SHARE * 60 * minutes
        seconds = min(SECONDS, limit / len(precisions))
    times = step_times(model, images, settled, precisions, seconds, limit, clock)
    mean = {precision: sum(found) / len(found) for precision, found in times.items()}
    if reason is not None:
        return (
            precisions[0],
            mean[precisions[0]],
            Message(
                "precision {precision}{reason}",
                id="choice.precision-only",
                precision=precisions[0],
                reason=reason,
            ),
        )
    if len(times) < len(precisions):
        return (
            "float32",
            mean["float32"],
            Message(
                "precision float32: a step takes too long to measure another",
                id="choice.precision-not-measured",
            ),
        )
    # The lower quartile is what the machine can do; the mean is what it does, and what plans the length.
    full, half = (found[len(found) // 4] for found in times.values())
    gain = full / half
    if gain > WORTH_IT:
        return (
            "bfloat16",
            mean["bfloat16"],
            Message(
                "precision bfloat16: {gain:.1f}× the speed of float32 here",
                id="choice.precision-bfloat16",
                gain=gain,
            ),
        )
    return (
        "float32",
        mean["float32"],
        Message(
            "precision float32: bfloat16 is only {gain:.2f}× as fast here",
            id="choice.precision-float32",
            gain=gain,
        ),
    )


def _no_choice(model: Autoencoder, asked: str) -> str | None:
    if asked != "auto":
        return ", as asked"
    if model.recipe.bottleneck.needs_float32:
        return f": {model.recipe.bottleneck.needs_float32}"
    if next(model.parameters()).device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return ": this GPU has no bfloat16"
    return None
