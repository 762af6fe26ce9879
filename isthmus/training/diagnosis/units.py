"""What the code says about itself: dead units, a posterior that collapsed, a code that merely copies."""

from __future__ import annotations

from isthmus.errors import Hint
from isthmus.model.recipe import Recipe
from isthmus.training.diagnosis.finding import Finding, change_setting
from isthmus.training.diagnosis.observed import Observed
from isthmus.wording import format_count

ENOUGH = 20  # images: over fewer a good unit may well stay the same
DEAD = 0.1  # share of units that are the same for every image
DEAD_SPARSE = 0.5  # the same of a sparse code, where some units wait for rare images
LIVE = 0.1  # share of a gaussian code's units that should carry something
COPIED = 0.9  # share of scrambled images' variance that comes through


def dead_units(seen: Observed, recipe: Recipe) -> Finding | None:
    """Units that are never active, or the same for every image; gaussian codes have `posterior_collapse`."""
    if seen.images < ENOUGH:
        return None
    allowed = DEAD_SPARSE if recipe.bottleneck.is_sparse else DEAD
    if recipe.bottleneck.is_stochastic or seen.constant_units <= allowed * seen.units:
        return None
    every = seen.constant_units == seen.units
    which = f"all {seen.units}" if every else f"{seen.constant_units} of {seen.units}"
    return Finding(
        "dead-units",
        "problem" if every else "warning",
        f"{which} units of the code are the same for each of {format_count(seen.images, 'image')}: they "
        "carry nothing",
        _revive(recipe),
    )


def posterior_collapse(seen: Observed, recipe: Recipe) -> Finding | None:
    """The units of a gaussian code do not differ from the prior, so the decoder learns to do without them."""
    bottleneck = recipe.bottleneck
    if not bottleneck.is_stochastic or seen.collapsed_units is None or seen.kl is None:
        return None
    live = seen.units - seen.collapsed_units
    if seen.images < ENOUGH or live >= max(1, LIVE * seen.units):
        return None
    change = bottleneck.collapse_hint(has_likelihood=recipe.objective.has_likelihood)
    return Finding(
        "posterior-collapse",
        "problem" if live == 0 else "warning",
        f"{seen.collapsed_units} of {format_count(seen.units, 'unit')} of the code equal the prior for "
        "every image "
        f"(the whole code carries {seen.kl:.2g} nats)",
        _revive(recipe) if change is None else change_setting(change),
    )


def copying(seen: Observed, recipe: Recipe) -> Finding | None:
    """The code lets anything through, so nothing had to be learned about the images.

    Scrambled pixels have nothing that could be learned: a model that gives them back has only copied. A code
    of integers is left out, for it pays for what it passes on.
    """
    if recipe.bottleneck.is_discrete or seen.explained_scrambled is None:
        return None
    skips = recipe.backbone.has_skips
    if seen.explained_scrambled < COPIED:
        return None if skips else _wide(seen, recipe)
    way = (
        "decoder and encoder are joined by skips"
        if skips
        else f"the code has {format_count(seen.code_numbers, 'number')}, the image {seen.image_numbers:,}"
    )
    return Finding(
        "copying",
        "warning",
        f"the model copies: {100 * seen.explained_scrambled:.0f} % of images whose pixels were put in "
        f"random order comes through, as of real ones ({100 * seen.explained:.0f} %); {way}",
        change_setting("corruption=gaussian") if skips else Hint.add(code=_narrower(seen, recipe)),
    )


def _wide(seen: Observed, recipe: Recipe) -> Finding | None:
    free = recipe.bottleneck.weight == 0 and recipe.bottleneck.kept_units is None
    if not free or seen.code_numbers < seen.image_numbers:
        return None
    return Finding(
        "wide-code",
        "note",
        f"the code has {format_count(seen.code_numbers, 'number')}, the image {seen.image_numbers:,}, "
        "and neither penalty "
        "nor noise: nothing keeps the model from copying",
        Hint.add(code=_narrower(seen, recipe)),
    )


def _narrower(seen: Observed, recipe: Recipe) -> str:
    """A code of about a sixteenth of the image's numbers."""
    channels = max(1, round(recipe.geometry.channels * seen.image_numbers / 16 / max(seen.code_numbers, 1)))
    _, at, stride = recipe.code.partition("@")
    return f"{channels}{at}{stride}"


def _revive(recipe: Recipe) -> Hint:
    change = recipe.bottleneck.revive_hint(recipe.geometry)
    if change is None:
        rate = min(recipe.optimiser.peak_rate / 4, recipe.optimiser.usual_rate)
        change = f"optimiser.rate={rate:.2g}"
    return change_setting(change)
