"""Findings about the code: dead units, a collapsed posterior, a code that only copies."""

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


def dead_units(observed: Observed, recipe: Recipe) -> Finding | None:
    """Units that are never active, or the same for every image; gaussian codes have `posterior_collapse`."""
    if observed.images < ENOUGH:
        return None
    allowed = DEAD_SPARSE if recipe.bottleneck.is_sparse else DEAD
    if recipe.bottleneck.is_stochastic or observed.constant_units <= allowed * observed.units:
        return None
    every = observed.constant_units == observed.units
    which = f"all {observed.units}" if every else f"{observed.constant_units} of {observed.units}"
    return Finding(
        "dead-units",
        "problem" if every else "warning",
        f"{which} units of the code are the same for each of {format_count(observed.images, 'image')}: they "
        "carry nothing",
        _revive(recipe),
    )


def posterior_collapse(observed: Observed, recipe: Recipe) -> Finding | None:
    """The units of a gaussian code do not differ from the prior, so the decoder learns to do without them."""
    bottleneck = recipe.bottleneck
    if not bottleneck.is_stochastic or observed.collapsed_units is None or observed.kl is None:
        return None
    live = observed.units - observed.collapsed_units
    if observed.images < ENOUGH or live >= max(1, LIVE * observed.units):
        return None
    change = bottleneck.collapse_hint(has_likelihood=recipe.objective.has_likelihood)
    return Finding(
        "posterior-collapse",
        "problem" if live == 0 else "warning",
        f"{observed.collapsed_units} of {format_count(observed.units, 'unit')} of the code equal the prior "
        "for every image "
        f"(the whole code carries {observed.kl:.2g} nats)",
        _revive(recipe) if change is None else change_setting(change),
    )


def copying(observed: Observed, recipe: Recipe) -> Finding | None:
    """The code is so large that the model can copy images without learning anything about them.

    Scrambled pixels have no structure to learn, so a model that reproduces them only copies. Codes of
    integers are not judged, because their objective includes the rate.
    """
    if recipe.bottleneck.is_discrete or observed.explained_scrambled is None:
        return None
    skips = recipe.backbone.has_skips
    if observed.explained_scrambled < COPIED:
        return None if skips else _wide(observed, recipe)
    way = (
        "decoder and encoder are joined by skips"
        if skips
        else f"the code has {format_count(observed.code_numbers, 'number')}, "
        f"the image {observed.image_numbers:,}"
    )
    return Finding(
        "copying",
        "warning",
        f"the model copies: {100 * observed.explained_scrambled:.0f} % of images whose pixels were put in "
        f"random order comes through, as of real ones ({100 * observed.explained:.0f} %); {way}",
        change_setting("corruption=gaussian") if skips else Hint.add(code=_narrower(observed, recipe)),
    )


def _wide(observed: Observed, recipe: Recipe) -> Finding | None:
    free = recipe.bottleneck.weight == 0 and recipe.bottleneck.kept_units is None
    if not free or observed.code_numbers < observed.image_numbers:
        return None
    return Finding(
        "wide-code",
        "note",
        f"the code has {format_count(observed.code_numbers, 'number')}, "
        f"the image {observed.image_numbers:,}, and neither penalty "
        "nor noise: nothing keeps the model from copying",
        Hint.add(code=_narrower(observed, recipe)),
    )


def _narrower(observed: Observed, recipe: Recipe) -> str:
    """A code of about a sixteenth of the image's numbers."""
    channels = max(
        1, round(recipe.geometry.channels * observed.image_numbers / 16 / max(observed.code_numbers, 1))
    )
    _, separator, stride = recipe.code.partition("@")
    return f"{channels}{separator}{stride}"


def _revive(recipe: Recipe) -> Hint:
    change = recipe.bottleneck.revive_hint(recipe.geometry)
    if change is None:
        rate = min(recipe.optimiser.peak_rate / 4, recipe.optimiser.usual_rate)
        change = f"optimiser.rate={rate:.2g}"
    return change_setting(change)
