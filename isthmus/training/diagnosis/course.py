"""Findings from the losses of a training, while it runs and after: over-fitting, a critic that has won."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, median

from isthmus.errors import Hint
from isthmus.model.image_terms import parse_sum
from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.schedule import Schedule

ENTRIES = 8  # fewer validations are not judged
STEPS = 100
RISEN = 0.03  # of the validation loss above its best, while the training loss went on falling
GAP = 2.0  # validation error as a multiple of the training error
LEARNED = 0.2  # of the training loss at the start, fallen by the end: less is no learning by heart
FALLEN = 0.05  # of the training loss since the best validation: less may be the luck of a few batches
CHANCE = 1.386  # the critic's loss where it has to guess: 2 ln 2
BEATEN = 0.1  # of that


@dataclass(frozen=True)
class Course:
    """A training's losses over its steps, one number per validation.

    Attributes:
        steps: where each entry ends; `schedule`: progress over all steps that were planned.
        train: the image part of the objective at full weight, its mean since the entry before.
        validation: the same on held-out images; empty where none were held out.
        objective: the whole validation loss; empty likewise.
        critic: the critic's own loss; empty without one.
    """

    steps: tuple[float, ...]
    schedule: Schedule
    train: tuple[float, ...]
    validation: tuple[float, ...]
    objective: tuple[float, ...]
    critic: tuple[float, ...]

    @property
    def tells(self) -> bool:
        """Whether there is enough of it to judge."""
        return len(self.steps) >= ENTRIES and self.steps[-1] >= STEPS


def course_of(history: Sequence[Mapping[str, float]], recipe: Recipe, schedule: Schedule) -> Course:
    """The course that a run's `history` holds."""
    terms = [(name, weight) for name, weight, _ in parse_sum(recipe.objective.image)]

    def image_part(entry: Mapping[str, float], part: str) -> float:
        return sum(weight * entry[f"{part}_{name}"] for name, weight in terms)

    held_out = all("validation" in entry for entry in history)
    in_parts = all(f"validation_{name}" in entry for entry in history for name, _ in terms)
    criticised = all("train_critic" in entry for entry in history)
    return Course(
        steps=tuple(entry["step"] for entry in history),
        schedule=schedule,
        train=tuple(image_part(entry, "train") for entry in history),
        validation=tuple(image_part(entry, "validation") for entry in history) if in_parts else (),
        objective=tuple(entry["validation"] for entry in history) if held_out else (),
        critic=tuple(entry["train_critic"] for entry in history) if criticised else (),
    )


def over_fitting(course: Course, recipe: Recipe) -> Finding | None:
    """The held-out loss rises while the one in training falls, or is a multiple of it and growing."""
    if not course.tells or not course.objective:
        return None
    best = min(range(len(course.objective)), key=course.objective.__getitem__)
    lowest, last = course.objective[best], course.objective[-1]
    learned = _fall(course.train, 0) > LEARNED
    fell = learned and _fall(course.train, best) > FALLEN
    rose = last > lowest + RISEN * abs(lowest)
    middle = len(course.steps) // 2
    gap, earlier = _gap(course, -1, recipe), _gap(course, middle, recipe)
    if rose and fell and len(course.steps) - best > 2:
        message = (
            f"the validation loss was lowest at step {course.steps[best]:,.0f} and has risen by "
            f"{100 * (last - lowest) / abs(lowest):.0f} % since, while the training loss went on falling"
        )
    elif gap > GAP and gap > 1.2 * earlier:
        message = (
            f"the error on held-out images is {gap:.1f} times that in training, "
            f"and was {earlier:.1f} times half-way"
        )
    else:
        return None
    return Finding("over-fitting", "warning", message, _smaller(recipe))


def critic_domination(course: Course, recipe: Recipe) -> Finding | None:
    """The critic was nearly always right in the last third of a training, so its gradient no longer helps."""
    if not course.tells or not course.critic or not recipe.critic.judges:
        return None
    last = median(course.critic[-max(3, len(course.critic) // 3) :])
    if last > BEATEN * CHANCE:
        return None
    slower = min(recipe.critic.rate, recipe.optimiser.peak_rate) / 10
    return Finding(
        "critic-domination",
        "warning",
        f"the critic tells real {recipe.critic.judges} from made ones nearly without fail: its loss is "
        f"{last:.2g}, and {CHANCE:.2f} where it has to guess",
        change_setting(f"critic.rate={slower:.2g}"),
    )


def _fall(train: Sequence[float], since: int) -> float:
    """How much the training loss fell since an entry, as a share of its whole fall or of itself."""
    before = mean(train[max(0, since - 1) : since + 2])
    after = mean(train[-3:])
    return (before - after) / max(abs(before) if before > 0 else train[0] - after, 1e-12)


def _gap(course: Course, place: int, recipe: Recipe) -> float:
    if not course.validation or not all(term.has_floor for term in recipe.objective.terms):
        return 1.0  # a ratio of likelihoods means nothing, for they have no zero
    return course.validation[place] / max(course.train[place], 1e-12)


def _smaller(recipe: Recipe) -> Hint:
    change = recipe.backbone.shrink_hint()
    smaller = Hint.add(code=_halved(recipe)) if change is None else change_setting(change)
    return replace(smaller, words="more images")


def _halved(recipe: Recipe) -> str:
    channels, separator, stride = recipe.code.partition("@")
    return f"{max(1, int(channels) // 2)}{separator}{stride}"
