"""All findings about a trained model, worst first; and the checks of the decoder's and the data's range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.errors import Hint, ModelFileError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.course import course_of, critic_domination, over_fitting
from isthmus.training.diagnosis.finding import Finding, change_setting, recorded
from isthmus.training.diagnosis.observed import MARGIN, Observed
from isthmus.training.diagnosis.rate import (
    learning_rate_too_high,
    learning_rate_too_low,
    nothing_learned,
    worse_than_mean_image,
)
from isthmus.training.diagnosis.units import copying, dead_units, posterior_collapse
from isthmus.training.schedule import Schedule

OFTEN = 0.02
SLIVER = 0.25


def output_range(observed: Observed, recipe: Recipe) -> Finding | None:
    """A linear decoder that often leaves [0, 1], where every image lies.

    What is drawn is as spread as the detail of real images: no setting keeps it in the range.
    """
    if recipe.backbone.samples or recipe.backbone.output == "sigmoid" or observed.outside < OFTEN:
        return None
    return Finding(
        "output-range",
        "warning",
        f"{100 * observed.outside:.0f} % of the decoder's numbers lie more than {MARGIN:g} outside [0, 1], "
        "where no image does, and are clipped",
        change_setting("backbone.output=sigmoid"),
    )


def data_range(observed: Observed, recipe: Recipe) -> Finding | None:  # noqa: ARG001
    """Images that use only a sliver of [0, 1], as 12 bits in a 16-bit file do."""
    width = observed.high - observed.low
    if width >= SLIVER:
        return None
    if width <= 0:
        return Finding(
            "data-range",
            "problem",
            f"every pixel of the images is {observed.low:.3g}: there is nothing to learn",
            Hint("other images"),
        )
    return Finding(
        "data-range",
        "warning",
        f"the images use only {observed.low:.3g} to {observed.high:.3g} of the range 0 to 1, so errors look "
        f"{1 / width**2:.0f} times as small as they are",
        Hint(f"stretching the images to the whole range: (images - {observed.low:.3g}) / {width:.3g}"),
    )


_ORDER = {"problem": 0, "warning": 1, "note": 2}
_EXPLAINS = ("learning-rate-too-high", "critic-domination", "data-range", "over-fitting")


def diagnose_training(model: Autoencoder, observed: Observed | None) -> tuple[Finding, ...]:
    """The findings about a trained model, problems first.

    Args:
        observed: from a pass over images. None: the findings that were recorded at the end of the training,
            or what its history shows where there are none.

    Raises:
        ModelFileError: the model's summary is not what isthmus writes.
    """
    try:
        if observed is None and "findings" in model.summary:
            return recorded(model.summary)
        return findings(model.summary.get("history") or (), model.recipe, _schedule(model.summary), observed)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            "the model's summary is damaged: {reason}", id="model-file.summary", reason=error
        ) from error


def findings(
    history: Sequence[Mapping[str, float]], recipe: Recipe, schedule: Schedule, observed: Observed | None
) -> tuple[Finding, ...]:
    """Everything there is to say at the end of a training.

    Args:
        history: a run's validations; schedule: its progress over the steps that were planned.
        observed: the held-out pass with the weights that are kept, or None.
    """
    course = course_of(history, recipe, schedule)
    results = list(early_findings(history, recipe, schedule))
    if observed is not None:
        checks = (posterior_collapse, dead_units, copying, output_range, data_range)
        results += [finding for check in checks if (finding := check(observed, recipe)) is not None]
    # What has a better explanation is not blamed on the rate, nor on everything at once.
    explained = None if observed is None else observed.explained
    if not any(finding.severity == "problem" or finding.name in _EXPLAINS for finding in results):
        slow = learning_rate_too_low(course, recipe, explained)
        results += [slow] if slow is not None else []
    if explained is not None and course.tells and all(finding.severity == "note" for finding in results):
        nothing = nothing_learned(explained, recipe)
        results += [nothing] if nothing is not None else []
    if (
        explained is not None
        and history
        and not any(finding.name == "nothing-learned" for finding in results)
    ):
        worse = worse_than_mean_image(explained, recipe, course.steps[-1])
        results += [worse] if worse is not None else []
    return tuple(sorted(results, key=lambda finding: _ORDER[finding.severity]))


def early_findings(
    history: Sequence[Mapping[str, float]], recipe: Recipe, schedule: Schedule
) -> tuple[Finding, ...]:
    """The findings before the end, from the losses alone."""
    course = course_of(history, recipe, schedule)
    high = learning_rate_too_high(course, recipe)
    # A loss that jumps is also high on held-out images, but this is no over-fitting.
    results = (high or over_fitting(course, recipe), critic_domination(course, recipe))
    return tuple(finding for finding in results if finding is not None)


def _schedule(summary: Mapping[str, Any]) -> Schedule:
    if summary.get("knots"):
        return Schedule.from_json(summary["knots"])
    return Schedule.linear(int((summary.get("settled") or {}).get("steps") or summary.get("steps") or 1))
