"""A learning rate that is far too high (the loss jumps) or far too low (the loss falls slowly to the end)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from isthmus.errors import Hint
from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.course import Course
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.schedule import rate_at, warmup_share
from isthmus.wording import choose_word, format_count

JUMP = 0.4  # of all that had been learned, lost again later
ABOVE = 0.2  # above the loss at the start
SPIKE = 1.1  # training loss at a jump, relative to before: over-fitting jumps on held-out images only
LOW = 0.3  # of the usual rate: below, a steep end is blamed on it; above, on the length
STEEP = 0.15  # of the whole fall, in the last quarter of the learning; 0.25 is a straight line
STILL = 0.02  # of the first loss: a fall of less is none
LITTLE = 0.3  # of the images' variance explained
ENOUGH_STEPS = 1000  # suggested where fewer ended worse than the mean image
NOTHING = 0.05  # the same: hardly more than the mean image does


def learning_rate_too_high(course: Course, recipe: Recipe) -> Finding | None:
    """The loss rises far above where it began, or loses much of what it had gained."""
    if not course.tells:
        return None
    losses = course.objective or _smooth(course.train)
    train = _smooth(course.train)
    # While the rate rises, the loss may jump and recover: at a usual rate only later jumps count.
    usual = recipe.optimiser.peak_rate <= recipe.optimiser.usual_rate
    warmup = warmup_share(recipe.optimiser, course.schedule) if usual else -1.0
    first = sum(course.schedule.progress(step) <= warmup for step in course.steps)
    # Against a critic the image loss may well rise for a while: only a rise above the start counts.
    game = bool(recipe.critic.judges)
    jump = _worst_jump(losses, train, share=math.inf if game else JUMP, since=first)
    if jump is None:
        return None
    low, high, jump_step = jump
    rate = recipe.optimiser.peak_rate
    return Finding(
        "learning-rate-too-high",
        "warning",
        f"the loss jumped from {low:.3g} to {high:.3g} by step {course.steps[jump_step]:,.0f}: the learning "
        f"rate {rate:g} is likely too high",
        change_setting(f"optimiser.rate={min(rate / 4, recipe.optimiser.usual_rate):.2g}"),
    )


def learning_rate_too_low(course: Course, recipe: Recipe, explained: float | None = None) -> Finding | None:
    """The loss was still falling steeply when the falling rate ended the training.

    Steps are weighed by their learning rate, so that the slow end of a schedule does not look like a plateau.

    Args:
        explained: share of the images' variance that the finished model explains, where it is known.
    """
    if not course.tells or course.steps[-1] < course.schedule.steps:
        return None
    rate, usual = recipe.optimiser.peak_rate, recipe.optimiser.usual_rate
    losses = course.objective or _smooth(course.train)
    moved = _moved(course, recipe)
    total = losses[0] - losses[-1]
    quarter = next((i for i, done in enumerate(moved) if done >= 0.75), len(moved) - 1)
    still = abs(total) < STILL * abs(losses[0])
    left = losses[quarter] - losses[-1]
    # A first entry of hundreds of steps hides the fall within it, so the fall after it must be large by
    # itself.
    share = left / total if not still and total > 0 and left > STILL * abs(losses[-1]) else 0.0
    # A share above one is a loss that went up and down on the way: no creeping.
    if not STEEP <= share <= 1 and not (still and rate < LOW * usual):
        return None
    observation = (
        f"the loss has hardly moved, from {losses[0]:.3g} to {losses[-1]:.3g}"
        if still
        else f"the loss was still falling steeply at the end ({100 * share:.0f} % of its fall came in the "
        "last quarter of the learning)"
    )
    if rate < LOW * usual or (explained is not None and explained < LITTLE):
        better = usual if rate < LOW * usual else 10 * rate
        text = f"{observation}: the learning rate {rate:g} is likely too low"
        return Finding("learning-rate-too-low", "warning", text, change_setting(f"optimiser.rate={better:g}"))
    text = (
        f"{observation}: {format_count(int(course.steps[-1]), 'step')} "
        f"{choose_word(course.steps[-1], 'is', 'are')} few"
    )
    return Finding("too-short", "note", text, Hint.add(steps=3 * course.schedule.steps))


def worse_than_mean_image(explained: float, recipe: Recipe, steps: float) -> Finding | None:
    """The model's error is larger than that of the mean image, whatever the number of steps."""
    if explained >= 0:
        return None
    few = steps < ENOUGH_STEPS
    return Finding(
        "worse-than-mean-image",
        "problem",
        f"the error is {1 - explained:.2f} times that of the images' mean"
        + (f": {format_count(int(steps), 'step')} {choose_word(steps, 'is', 'are')} few" if few else ""),
        Hint.add(steps=ENOUGH_STEPS) if few else _lighter(recipe),
    )


def nothing_learned(explained: float, recipe: Recipe) -> Finding | None:
    """The model is no better than the mean image; the largest other term is named as the cause."""
    if explained >= NOTHING:
        return None
    return Finding(
        "nothing-learned",
        "problem",
        f"the model explains {100 * max(explained, 0):.0f} % of what differs between the images: it does "
        "hardly better than their mean",
        _lighter(recipe),
    )


def _lighter(recipe: Recipe) -> Hint:
    """A setting by which the images weigh more, or the learning is gentler."""
    rate, weight = recipe.optimiser.peak_rate, recipe.bottleneck.weight
    if recipe.critic.weight > 0:
        return change_setting(f"critic.weight={recipe.critic.weight / 10:.2g}")
    if weight > 0:
        return change_setting(f"bottleneck.weight={weight / 10:.2g}")
    return change_setting(f"optimiser.rate={min(rate / 4, recipe.optimiser.usual_rate):.2g}")


def _worst_jump(
    losses: Sequence[float], train: Sequence[float], share: float, since: int
) -> tuple[float, float, int] | None:
    """`(before, after, entry)` of the greatest rise by a share of the gain or above the start, or None.

    Entries before number `since` are levels that a later one may rise from, but no rises themselves.
    """
    first, low = losses[0], 0
    span = max(abs(first), first - min(losses), 1e-12)
    worst: tuple[float, float, int] | None = None
    for i, loss in enumerate(losses):
        if loss <= losses[low]:
            low = i
            continue
        rise, fall = loss - losses[low], first - losses[low]
        lost = fall > 0.1 * span and rise > share * fall
        above = loss - first > ABOVE * span
        spike = train[i] - train[low] > (SPIKE - 1) * abs(train[low])
        if i >= since and (lost or above) and spike and (worst is None or rise > worst[1] - worst[0]):
            worst = losses[low], loss, i
    return worst


def _smooth(losses: Sequence[float]) -> list[float]:
    """Means of three: a few batches are a noisy sample."""
    return [
        sum(losses[max(0, i - 1) : i + 2]) / len(losses[max(0, i - 1) : i + 2]) for i in range(len(losses))
    ]


def _moved(course: Course, recipe: Recipe) -> list[float]:
    """For each entry the share of all learning done by then: the rate's integral since the first entry."""
    points = 400
    schedule = course.schedule
    rates = [rate_at(recipe.optimiser, i / points, schedule) for i in range(points)]
    begun = int(points * schedule.progress(course.steps[0]))
    total = max(sum(rates[begun:]), 1e-30)
    return [sum(rates[begun : int(points * schedule.progress(step))]) / total for step in course.steps]
