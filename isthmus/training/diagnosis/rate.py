"""A learning rate far off: too high, and the loss jumps or stands still; too low, and it only creeps."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.course import Course
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.optimisers import peak_rate, rate_at, usual_rate

JUMP = 0.5  # of all that had been learned, lost again from one validation to a later one
LOW = 0.3  # of the usual rate: below, a steep end is blamed on it; above, on the length
STEEP = 0.3  # of the whole fall, in the second half of the learning
LITTLE = 0.3  # of the images' variance explained
NOTHING = 0.05  # of the images' variance explained: no more than the mean image does


def learning_rate_too_high(course: Course, recipe: Recipe, explained: float | None = None) -> Finding | None:
    """The training loss rises again, or never fell.

    Args:
        explained: share of the images' variance that the finished model explains; None while it trains.
    """
    if not course.tells:
        return None
    rate = peak_rate(recipe.optimiser)
    train = course.train
    lost = _worst_jump(train)
    if train[-1] >= train[0] and min(train) > train[0] - 0.02 * abs(train[0]) and rate > 0:
        seen = f"the training loss never fell: {train[0]:.3g} at first, {train[-1]:.3g} now"
        if explained is None or rate < LOW * usual_rate(recipe.optimiser):
            return None
    elif lost > JUMP:
        seen = f"the training loss jumps: it lost {100 * lost:.0f} % of what it had gained"
    elif explained is not None and explained < NOTHING and rate > LOW * usual_rate(recipe.optimiser):
        seen = f"the model explains {100 * max(explained, 0):.0f} % of what differs between the images"
    else:
        return None
    return Finding(
        "learning-rate-too-high",
        "warning" if explained is None or explained > NOTHING else "problem",
        f"{seen}; the learning rate {rate:g} is likely too high",
        f"--set optimiser.rate={min(rate / 4, usual_rate(recipe.optimiser)):.2g}",
    )


def learning_rate_too_low(course: Course, recipe: Recipe, explained: float | None = None) -> Finding | None:
    """The loss was still falling steeply when the falling rate ended the training.

    Steps are weighed by their learning rate, so that the slow end of a schedule does not look like a plateau.
    """
    if not course.tells or course.steps[-1] < course.length:
        return None
    rate, usual = peak_rate(recipe.optimiser), usual_rate(recipe.optimiser)
    losses = course.validation or course.train
    moved = _moved(course, recipe)
    total = losses[0] - losses[-1]
    half = next((i for i, done in enumerate(moved) if done >= 0.5), len(moved) - 1)
    share = (losses[half] - losses[-1]) / total if total > 0 else 0.0
    stuck = total < 0.02 * abs(losses[0]) and rate < LOW * usual
    if not stuck and share < STEEP:
        return None
    seen = (
        f"the loss has hardly moved: {losses[0]:.3g} at first, {losses[-1]:.3g} at the end"
        if stuck
        else f"the loss was still falling steeply at the end ({100 * share:.0f} % of its fall came in the "
        "second half of the learning)"
    )
    if rate < LOW * usual or (explained is not None and explained < LITTLE):
        told = f"{seen}; the learning rate {rate:g} is likely too low"
        better = usual if rate < LOW * usual else 10 * rate
        return Finding("learning-rate-too-low", "warning", told, f"--set optimiser.rate={better:g}")
    return Finding(
        "too-short",
        "note",
        f"{seen}: {course.steps[-1]:,.0f} steps are few at a learning rate of {rate:g}",
        f"--steps {3 * course.length}",
    )


def _worst_jump(losses: Sequence[float]) -> float:
    """The greatest rise from the lowest loss so far, as a share of the fall until then."""
    first, lowest, worst = losses[0], losses[0], 0.0
    for loss in losses[1:]:
        fall = first - lowest
        if fall > 0.1 * abs(first):
            worst = max(worst, (loss - lowest) / fall)
        lowest = min(lowest, loss)
    return worst


def _moved(course: Course, recipe: Recipe) -> list[float]:
    """For each entry the share of all learning done by then: the rate's integral since the first entry."""
    points = 400
    rates = [rate_at(recipe.optimiser, i / points, course.length) for i in range(points)]
    begun = int(points * course.steps[0] / course.length)
    total = max(sum(rates[begun:]), 1e-30)
    return [sum(rates[begun : int(points * step / course.length)]) / total for step in course.steps]
