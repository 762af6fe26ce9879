"""Whether the decoder's range is the data's, and whether the data use theirs."""

from __future__ import annotations

from isthmus.errors import Hint
from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.diagnosis.observed import MARGIN, Observed

OFTEN = 0.02
SLIVER = 0.25


def output_range(seen: Observed, recipe: Recipe) -> Finding | None:
    """A linear decoder that often leaves [0, 1], where every image lies."""
    if recipe.backbone.output == "sigmoid" or seen.outside < OFTEN:
        return None
    return Finding(
        "output-range",
        "warning",
        f"{100 * seen.outside:.0f} % of the decoder's numbers lie more than {MARGIN:g} outside [0, 1], where "
        "no image does, and are clipped",
        change_setting("backbone.output=sigmoid"),
    )


def data_range(seen: Observed, recipe: Recipe) -> Finding | None:  # noqa: ARG001
    """Images that use only a sliver of [0, 1], as 12 bits in a 16-bit file do."""
    width = seen.high - seen.low
    if width >= SLIVER:
        return None
    if width <= 0:
        return Finding(
            "data-range",
            "problem",
            f"every pixel of the images is {seen.low:.3g}: there is nothing to learn",
            Hint("other images"),
        )
    return Finding(
        "data-range",
        "warning",
        f"the images use only {seen.low:.3g} to {seen.high:.3g} of the range 0 to 1, so errors look "
        f"{1 / width**2:.0f} times as small as they are",
        Hint(f"stretching the images to the whole range: (images - {seen.low:.3g}) / {width:.3g}"),
    )
