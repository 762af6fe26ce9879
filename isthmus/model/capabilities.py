"""Which combinations of the product space cannot work, each with its reason; and what a model can be asked.

`refusal` is pure and needs no torch: the command line, the trainer and the cross-product test all ask it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from isthmus.errors import CapabilityError
from isthmus.model import axes
from isthmus.model.image_sum import parse_sum
from isthmus.model.recipe import Recipe
from isthmus.wording import format_count

Use = Literal["decode", "generate", "compress"]

_DISCRETE = (axes.Quantised, axes.Entropy)
_SPARSE = (axes.L1, axes.KLSparse, axes.TopK, axes.L0)


def refusal(recipe: Recipe) -> str | None:
    """Why this recipe cannot work, or None when it can. The code shape must no longer be `auto`."""
    for rule in _RULES:
        reason = rule(recipe)
        if reason is not None:
            return reason
    return None


def check(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: the combination cannot work; the message is the reason.
    """
    reason = refusal(recipe)
    if reason is not None:
        raise CapabilityError(reason)


def check_use(recipe: Recipe, use: Use) -> None:
    """Raises:
    CapabilityError: this model cannot be asked to decode, generate or compress.
    """
    if getattr(recipe.backbone, "skips", False):
        raise CapabilityError(
            f"this model cannot {use}: its decoder also needs the encoder's stages (backbone.skips=true), "
            "so the code alone does not hold the image"
        )


def _vector_only(recipe: Recipe) -> str | None:
    if isinstance(recipe.backbone, axes.Dense | axes.Recurrent) and recipe.geometry.is_grid:
        return f"a {recipe.backbone.kind} backbone has no grid: its code is a vector, for example --code 64"
    return None


def _filters(recipe: Recipe) -> str | None:
    backbone = recipe.backbone
    if not isinstance(backbone, axes.Filters):
        return None
    if recipe.geometry.stride is None:
        return "filters answer at every place: their code is a grid, for example --code 256@4"
    if backbone.side < recipe.geometry.stride:
        return f"filters of side {backbone.side} leave gaps in steps of {recipe.geometry.stride} pixels"
    if not isinstance(recipe.positions, axes.NoPositions):
        return "filters are the same at every place: positions add nothing to them"
    return None


def _positions_of_dense(recipe: Recipe) -> str | None:
    if isinstance(recipe.backbone, axes.Dense) and not isinstance(recipe.positions, axes.NoPositions):
        return "a dense backbone has its own weight for every pixel: positions add nothing to it"
    return None


def _equal_queries(recipe: Recipe) -> str | None:
    if not isinstance(recipe.backbone, axes.Attention) or not isinstance(recipe.positions, axes.NoPositions):
        return None
    if not recipe.geometry.is_grid:
        return "attention decodes a vector by one query per patch; without positions all queries are equal"
    if isinstance(recipe.corruption, axes.Mask):
        return (
            "attention fills a hidden patch from its position; without positions all hidden patches are equal"
        )
    return None


def _heads(recipe: Recipe) -> str | None:
    backbone = recipe.backbone
    if isinstance(backbone, axes.Attention):
        if len(backbone.width) != 1:
            return "attention has one token width, for example backbone.width=128"
        if backbone.width[0] % backbone.heads:
            return f"backbone.heads={backbone.heads} does not divide the token width {backbone.width[0]}"
        if recipe.geometry.is_grid and backbone.patch not in (None, recipe.geometry.stride):
            return f"a grid code has one position per patch: backbone.patch must be {recipe.geometry.stride}"
    if isinstance(backbone, axes.Recurrent) and len(backbone.width) != 1:
        return "a recurrent backbone has one hidden size, for example backbone.width=256"
    return None


def _stages(recipe: Recipe) -> str | None:
    backbone, stride = recipe.backbone, recipe.geometry.stride
    if not isinstance(backbone, axes.Conv):
        return None
    if not backbone.width:
        return "a conv backbone needs at least one width, for example backbone.width=48"
    if backbone.stem & (backbone.stem - 1):
        return f"backbone.stem={backbone.stem} is not a power of two"
    if stride is not None and backbone.depth is not None and backbone.stem * 2**backbone.depth != stride:
        end = backbone.stem * 2**backbone.depth
        return f"stem {backbone.stem} and depth {backbone.depth} end at 1/{end}, not at the code's 1/{stride}"
    return None


def _stacked(recipe: Recipe) -> str | None:
    backbone, stride = recipe.backbone, recipe.geometry.stride
    if not isinstance(backbone, axes.Stacked):
        return None
    if stride is None and not backbone.width:
        return "a stacked backbone needs a width per halving, for example backbone.width=32-64"
    if stride == 1:
        return "a stacked backbone halves at least once: its grid codes begin at 1/2, for example --code 32@2"
    if backbone.padding == "reflect" and backbone.up == "transposed":
        return "a strided transposed convolution has borders of zeros: reflect needs backbone.up=nearest"
    if backbone.decoder is not None:
        doublings = len(backbone.width) if stride is None else stride.bit_length() - 1
        least = doublings - (stride is not None)
        if len(backbone.decoder) not in (least, least + 1):
            return (
                f"backbone.decoder has {len(backbone.decoder)} widths: {doublings} doublings take {least}, "
                f"or {least + 1} with a plain convolution at the end"
            )
    return None


def _cosine(recipe: Recipe) -> str | None:
    backbone = recipe.backbone
    if isinstance(backbone, axes.Conv) and backbone.start == "cosine":
        if not recipe.geometry.is_grid:
            return "only a grid code has a straight path for backbone.start=cosine, for example --code 32@8"
        if backbone.predicts == "difference":
            return "a network that adds to its input has no straight path for backbone.start=cosine"
        if backbone.output != "linear":
            return "backbone.start=cosine paints pixel values themselves: it needs backbone.output=linear"
    elif isinstance(backbone, axes.Conv) and backbone.refines:
        return "backbone.refines corrects a path that starts as a cosine transform: add backbone.start=cosine"
    if isinstance(backbone, axes.Conv) and backbone.encoder == "linear":
        if not recipe.geometry.is_grid or backbone.predicts == "difference":
            return "backbone.encoder=linear is the straight path of a grid code, for example --code 32@8"
        if backbone.skips:
            return "backbone.skips hands on the encoder's stages, and backbone.encoder=linear has none"
        if not isinstance(recipe.positions, axes.NoPositions):
            return "positions enter the encoder's stages, and backbone.encoder=linear has none"
    return None


def _skips(recipe: Recipe) -> str | None:
    if getattr(recipe.backbone, "skips", False):
        if not isinstance(recipe.bottleneck, axes.Plain):
            return "with encoder–decoder skips the code is not the only way through: only plain makes sense"
        if not isinstance(recipe.critic, axes.NoCritic):
            return "with encoder–decoder skips there is nothing to sample: a critic needs a generator"
        if not recipe.geometry.is_grid:
            return (
                "encoder–decoder skips need a grid code, for example --code 64@8; a vector needs "
                "backbone.skips=false and backbone.predicts=image"
            )
    return None


def _difference(recipe: Recipe) -> str | None:
    if getattr(recipe.backbone, "predicts", "image") == "difference":
        if not getattr(recipe.backbone, "skips", False):
            return (
                "a difference is added to the encoder's input, which the code alone does not hold: "
                "backbone.predicts=difference needs backbone.skips=true"
            )
        if recipe.backbone.output != "linear":
            return "a difference can be negative: backbone.predicts=difference needs backbone.output=linear"
    return None


def _contractive(recipe: Recipe) -> str | None:
    if isinstance(recipe.bottleneck, axes.Contractive):
        if getattr(recipe.backbone, "norm", "none") == "batch":
            return "batch normalisation ties images together: the Jacobian of one image's code is not its own"
        if getattr(recipe.backbone, "down", "stride") == "pool":
            return "max pooling has no useful second derivative: contractive needs backbone.down=stride"
    return None


def _prior(recipe: Recipe) -> str | None:
    if isinstance(recipe.critic, axes.NoCritic):
        return None
    if isinstance(recipe.bottleneck, _DISCRETE):
        return f"a critic compares with a Gaussian prior, and {recipe.bottleneck.kind} codes are discrete"
    if isinstance(recipe.bottleneck, _SPARSE):
        return f"a critic compares with a Gaussian prior, and {recipe.bottleneck.kind} codes are sparse"
    if getattr(recipe.bottleneck, "rectified", False):
        return "a critic compares with a Gaussian prior, and rectified codes have no negative half"
    if isinstance(recipe.critic, axes.OnCodes) and isinstance(
        recipe.bottleneck, axes.Gaussian | axes.Contractive
    ):
        kind = recipe.bottleneck.kind
        return f"a critic on codes and a {kind} bottleneck both shape the code's distribution: choose one"
    if isinstance(recipe.critic, axes.OnImages) and not isinstance(recipe.bottleneck, axes.Gaussian):
        return "a critic on images also judges samples of the prior: it needs a gaussian bottleneck (vae-gan)"
    return None


def _output_range(recipe: Recipe) -> str | None:
    terms = [name for name, _, _ in parse_sum(recipe.objective.image)]
    if "bce" in terms and recipe.backbone.output != "sigmoid":
        return (
            "bce compares probabilities: it needs backbone.output=sigmoid, whose range is the data's [0, 1]"
        )
    return None


def _top_k(recipe: Recipe) -> str | None:
    if isinstance(recipe.bottleneck, axes.TopK) and recipe.bottleneck.k > recipe.geometry.channels:
        return (
            f"top-k keeps {format_count(recipe.bottleneck.k, 'unit')} of a code that has "
            f"{recipe.geometry.channels}"
        )
    if isinstance(recipe.bottleneck, axes.L0) and not recipe.geometry.is_grid:
        active = recipe.bottleneck.active
        if active is not None and active > recipe.geometry.channels:
            return f"l0 is asked for {active:g} active units of a code that has {recipe.geometry.channels}"
    return None


def _groups(recipe: Recipe) -> str | None:
    bottleneck = recipe.bottleneck
    if (
        isinstance(bottleneck, axes.Quantised)
        and bottleneck.groups
        and recipe.geometry.channels % bottleneck.groups
    ):
        return f"{bottleneck.groups} groups do not divide a code of {recipe.geometry.channels} channels"
    return None


def _full_batch(recipe: Recipe) -> str | None:
    if recipe.optimiser.name == "gd" and getattr(recipe.backbone, "norm", "none") == "batch":
        return "full-batch descent runs in chunks, and batch normalisation would see each chunk alone"
    return None


_RULES: tuple[Callable[[Recipe], str | None], ...] = (
    _vector_only,
    _filters,
    _positions_of_dense,
    _equal_queries,
    _heads,
    _stages,
    _stacked,
    _cosine,
    _skips,
    _difference,
    _contractive,
    _prior,
    _output_range,
    _top_k,
    _groups,
    _full_batch,
)
