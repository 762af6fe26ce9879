"""Progress through a training, and the learning rate that follows from it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from isthmus.model import axes

WARMUP_STEPS = 60

Knot = tuple[int, float]


@dataclass(frozen=True)
class Schedule:
    """Progress as a monotone, piecewise linear function of the step.

    Everything that changes in the course of a training (learning rate, weights that warm up, the spacing of
    validations) is a function of this progress. A training of a given number of steps has two knots. One of a
    given time gets more: at each validation the part that lies ahead is replaced (`replan`), the part that
    lies behind never changes.

    Attributes:
        knots: `(step, share of the training that is done)`, steps rising from 0, shares from 0 to at most 1.
            A training in minutes is validated at each knot.

    Raises:
        ValueError: the knots are not monotone.
    """

    knots: tuple[Knot, ...]

    def __post_init__(self) -> None:
        steps, shares = [step for step, _ in self.knots], [share for _, share in self.knots]
        pairs = zip(self.knots, self.knots[1:], strict=False)
        if (
            len(self.knots) < 2
            or (steps[0], shares[0]) != (0, 0.0)
            or not all(before[0] < after[0] and before[1] <= after[1] for before, after in pairs)
            or not all(math.isfinite(share) and share <= 1 for share in shares)
        ):
            raise ValueError(f"the knots of a schedule rise from (0, 0) to at most 1, not {self.knots}")

    @classmethod
    def linear(cls, steps: int) -> Schedule:
        """The schedule of `steps` steps that all count the same."""
        return cls(((0, 0.0), (max(1, steps), 1.0)))

    @classmethod
    def from_json(cls, knots: Iterable[Sequence[float]]) -> Schedule:
        """The inverse of `to_json`."""
        return cls(tuple((int(step), float(share)) for step, share in knots))

    def to_json(self) -> list[list[float]]:
        return [[step, share] for step, share in self.knots]

    @property
    def steps(self) -> int:
        """Steps in all, as far as is known now."""
        return self.knots[-1][0]

    def progress(self, step: float) -> float:
        """The share of the training, in [0, 1], that is done before step number `step` is taken."""
        if step >= self.steps:
            return self.knots[-1][1]
        index = bisect_right(self.knots, step, key=lambda knot: knot[0])
        (first, low), (last, high) = self.knots[index - 1], self.knots[index]
        return low + (high - low) * ((step - first) / (last - first))

    def replan(self, step: int, ahead: Iterable[Knot]) -> Schedule:
        """The schedule that agrees with this one up to `step` and goes through `ahead` from there."""
        past = [knot for knot in self.knots if knot[0] < step]
        return Schedule((*past, (step, self.progress(step)), *ahead))


def warmup_share(settings: axes.Optimiser, schedule: Schedule) -> float:
    """The share of a training, in [0, 1], over which the learning rate rises.

    Adam's first steps are as long as any; a short training still needs some of them small: 60, or a fifth of
    its steps. A new plan changes only the steps ahead, so a finished warm-up stays as it was.
    """
    if settings.is_adaptive and settings.warmup > 0:
        return max(settings.warmup, min(0.2, schedule.progress(WARMUP_STEPS)))
    return settings.warmup


def warmup_steps(settings: axes.Optimiser, steps: int) -> int:
    """Steps of the warm-up in a training of `steps` steps."""
    return math.ceil(steps * warmup_share(settings, Schedule.linear(steps)))


def rate_at(settings: axes.Optimiser, progress: float, schedule: Schedule) -> float:
    """The learning rate when `progress` in [0, 1) of a training with this schedule is done.

    It rises linearly over the `warmup` share, then stays, falls along a half cosine to zero (Loshchilov and
    Hutter 2017), or falls in equal steps.
    """
    peak, warmup = settings.peak_rate, warmup_share(settings, schedule)
    if warmup > 0 and progress < warmup:
        return peak * (progress + 1e-3) / (warmup + 1e-3)
    done = (progress - warmup) / max(1 - warmup, 1e-9)
    match settings.schedule:
        case "cosine":
            return peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        case "step":
            return float(peak * settings.factor ** int(done * (settings.drops + 1)))
        case _:
            return peak
