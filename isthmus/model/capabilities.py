"""Which combinations of the product space cannot work, with the reason; and which uses a model supports.

`refusal` is pure and needs no torch: the command line, the trainer and the cross-product test all call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from isthmus.errors import CapabilityError, Hint
from isthmus.images.bands import MAX_CHANNELS
from isthmus.messages import Message, as_message
from isthmus.model import axes
from isthmus.model.recipe import Recipe

if TYPE_CHECKING:
    from isthmus.model.image_terms import ImageTerm

Use = Literal["decode", "generate", "compress"]


def refusal(recipe: Recipe) -> str | None:
    """Why this recipe cannot work, or None when it can. The code shape must no longer be `auto`."""
    return next((reason for reason in _reasons(recipe) if reason is not None), None)


def check(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: the combination cannot work; the message is the reason.
    """
    reason = refusal(recipe)
    if reason is not None:
        raise CapabilityError(as_message(reason, id="combination.other"))


def check_images(recipe: Recipe, *, channels: int, axes: int) -> None:
    """Raises:
    CapabilityError: no network of this recipe is for images of so many channels or axes.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise CapabilityError(
            "images have 1 to {most} channels, not {channels}",
            id="model.channels-range",
            most=MAX_CHANNELS,
            channels=channels,
        )
    if axes not in recipe.backbone.image_axes:
        raise CapabilityError(
            "the {backbone} backbone has networks for images of {supported} axes, not of {axes}",
            id="model.axes",
            backbone=recipe.backbone.kind,
            supported=" or ".join(map(str, recipe.backbone.image_axes)),
            axes=axes,
        )


def check_use(recipe: Recipe, use: Use) -> None:
    """Raises:
    CapabilityError: this model cannot decode, generate or compress.
    """
    if recipe.backbone.has_skips:
        raise CapabilityError(
            "this model cannot {use}: its decoder also needs the encoder's stages "
            "(backbone.skips=true), so the code alone does not hold the image",
            id="model.skips",
            use=use,
        )


def check_marks(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: this model has no channel that marks defects.
    """
    if not recipe.corruption.marks_defects:
        raise CapabilityError(
            "this model (recipe {recipe}) does not mark defects: it was trained without planted ones",
            id="model.no-marks",
            hint=Hint.call("train", "DATA", recipe="defects"),
            recipe=recipe.name,
        )


def check_exported(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: a part of the recipe does not state that it can be written as a graph.
    """
    unstated = next((point for point in recipe.points if not point.may_export), None)
    if unstated is not None:
        raise CapabilityError(
            "this model cannot be exported: {axis} '{kind}' does not declare that it can be "
            "written as a graph",
            id="export.unstated",
            axis=unstated.axis,
            kind=unstated.kind,
        )


def _reasons(recipe: Recipe) -> Iterator[str | None]:
    """Reasons why this recipe cannot work; the first that is not None is reported."""
    backbone, bottleneck, critic = recipe.backbone, recipe.bottleneck, recipe.critic
    is_grid, knows_position = recipe.geometry.is_grid, recipe.positions.knows_position
    yield from (point.refusal(recipe.geometry) for point in recipe.points)
    if isinstance(backbone, axes.Filters) and knows_position:
        yield Message(
            "filters are the same at every place: positions add nothing to them",
            id="combination.filters-positions",
        )
    if isinstance(backbone, axes.Components) and knows_position:
        yield Message(
            "principal components are of every pixel at its place: positions add nothing to them",
            id="combination.components-positions",
        )
    if isinstance(backbone, axes.Dense) and knows_position:
        yield Message(
            "a dense backbone has its own weight for every pixel: positions add nothing to it",
            id="combination.dense-positions",
        )
    if isinstance(backbone, axes.Attention) and not knows_position and not is_grid:
        yield Message(
            "attention decodes a vector by one query per patch; without positions all queries are equal",
            id="combination.attention-vector",
        )
    if isinstance(backbone, axes.Attention) and not knows_position and recipe.corruption.hides_pixels:
        yield Message(
            "attention fills a hidden patch from its position; without positions all hidden "
            "patches are equal",
            id="combination.attention-hidden",
        )
    yield _cosine(recipe)
    if backbone.has_skips and not isinstance(bottleneck, axes.Plain):
        yield Message(
            "with encoder–decoder skips the code is not the only way through: choose bottleneck=plain",
            id="combination.skips-bottleneck",
        )
    if backbone.has_skips and critic.judges:
        yield Message(
            "with encoder–decoder skips there is nothing to sample: a critic needs a generator",
            id="combination.skips-critic",
        )
    if backbone.has_skips and not is_grid:
        yield Message(
            "encoder–decoder skips need a grid code, for example code 64@8; a vector needs "
            "backbone.skips=false and backbone.predicts=image",
            id="combination.skips-vector",
        )
    if backbone.predicts_residual and not backbone.has_skips:
        yield Message(
            "a difference is added to the encoder's input, which the code alone does not hold: "
            "backbone.predicts=difference needs backbone.skips=true",
            id="combination.difference-skips",
        )
    if backbone.predicts_residual and backbone.output != "linear":
        yield Message(
            "a difference can be negative: backbone.predicts=difference needs backbone.output=linear",
            id="combination.difference-output",
        )
    if isinstance(bottleneck, axes.Contractive) and backbone.has_batch_norm:
        yield Message(
            "contractive needs a Jacobian for each image, which batch normalisation makes "
            "depend on the whole batch",
            id="combination.contractive-norm",
        )
    if isinstance(bottleneck, axes.Contractive) and getattr(backbone, "down", "stride") == "pool":
        yield Message(
            "max pooling has no useful second derivative: contractive needs backbone.down=stride",
            id="combination.contractive-pooling",
        )
    yield from _prior(recipe)
    term = next((term for term in recipe.objective.terms if term.needs_probabilities), None)
    if term is not None and backbone.output != "sigmoid":
        yield Message(
            "{name} compares probabilities: {needs}",
            id="combination.probabilities",
            name=term.name,
            needs="it needs backbone.output=sigmoid, whose range is the data's [0, 1]",
        )
    if recipe.optimiser.takes_all_images and backbone.has_batch_norm:
        yield Message(
            "full-batch descent runs in chunks, and batch normalisation would normalise each "
            "chunk separately",
            id="combination.full-batch-norm",
        )
    start = " with backbone.start=cosine or encoder=linear" if backbone.kind == "conv" else ""
    if recipe.corruption.is_paired and not backbone.may_transform:
        yield f"a {backbone.kind} backbone{start} only reproduces images: it cannot learn from pairs"
    term = next((term for term in recipe.objective.terms if term.needs_mask), None)
    if recipe.corruption.marks_defects:
        yield from _marks(recipe, term, start)
    elif term is not None:
        yield Message(
            "{name} judges marked defects: it needs a corruption that plants them, "
            "corruption=synthetic-defects",
            id="combination.mask-term",
            name=term.name,
        )


def _cosine(recipe: Recipe) -> str | None:
    backbone = recipe.backbone
    if isinstance(backbone, axes.Conv) and backbone.start == "cosine":
        if not recipe.geometry.is_grid:
            return Message(
                "only a grid code has a straight path for backbone.start=cosine, for example code 32@8",
                id="combination.cosine-vector",
            )
        if backbone.predicts == "difference":
            return Message(
                "a network that adds to its input has no straight path for backbone.start=cosine",
                id="combination.cosine-difference",
            )
        if backbone.output != "linear":
            return Message(
                "backbone.start=cosine gives pixel values: it needs backbone.output=linear",
                id="combination.cosine-output",
            )
    elif isinstance(backbone, axes.Conv) and backbone.refines:
        return Message(
            "backbone.refines corrects a path that starts as a cosine transform: add backbone.start=cosine",
            id="combination.refines",
        )
    if isinstance(backbone, axes.Conv) and backbone.decoder == "shallow":
        if backbone.start != "cosine":
            return Message(
                "backbone.decoder=shallow corrects a path that starts as a cosine transform: add "
                "backbone.start=cosine",
                id="combination.shallow",
            )
        if backbone.skips:
            return Message(
                "backbone.skips hands stages to the decoder, and backbone.decoder=shallow has none",
                id="combination.shallow-skips",
            )
        if recipe.positions.knows_position:
            return Message(
                "positions enter the decoder's stages, and backbone.decoder=shallow has none",
                id="combination.shallow-positions",
            )
    elif isinstance(backbone, axes.Conv) and backbone.overlap:
        return Message(
            "backbone.overlap is undone by a shallow decoder: add backbone.decoder=shallow",
            id="combination.overlap",
        )
    if isinstance(backbone, axes.Conv) and backbone.overlap and recipe.geometry.stride == 1:
        return Message(
            "pieces of a single pixel cannot overlap: backbone.overlap needs a stride of 2 or more",
            id="combination.overlap-stride",
        )
    if isinstance(backbone, axes.Conv) and backbone.encoder == "linear":
        if not recipe.geometry.is_grid or backbone.predicts == "difference":
            return Message(
                "backbone.encoder=linear is the straight path of a grid code, for example code 32@8",
                id="combination.linear-encoder",
            )
        if backbone.skips:
            return Message(
                "backbone.skips hands on the encoder's stages, and backbone.encoder=linear has none",
                id="combination.linear-skips",
            )
        if recipe.positions.knows_position:
            return Message(
                "positions enter the encoder's stages, and backbone.encoder=linear has none",
                id="combination.linear-positions",
            )
    return None


def _prior(recipe: Recipe) -> Iterator[str]:
    """Of a critic that compares codes or images with draws from the prior."""
    bottleneck, critic = recipe.bottleneck, recipe.critic
    if not critic.compares_with_prior:
        return
    if bottleneck.is_discrete:
        yield Message(
            "a critic compares with a Gaussian prior, and {bottleneck} codes are discrete",
            id="combination.critic-discrete",
            bottleneck=bottleneck.kind,
        )
    if bottleneck.is_sparse:
        yield Message(
            "a critic compares with a Gaussian prior, and {bottleneck} codes are sparse",
            id="combination.critic-sparse",
            bottleneck=bottleneck.kind,
        )
    if bottleneck.is_rectified:
        yield Message(
            "a critic compares with a Gaussian prior, and rectified codes have no negative half",
            id="combination.critic-rectified",
        )
    if isinstance(critic, axes.OnCodes) and isinstance(bottleneck, axes.Gaussian | axes.Contractive):
        yield Message(
            "a critic on codes and a {kind} bottleneck both shape the code's distribution: choose one",
            id="combination.critic-stochastic",
            kind=bottleneck.kind,
        )
    if isinstance(critic, axes.OnImages) and not isinstance(bottleneck, axes.Gaussian):
        yield Message(
            "a critic on images also judges samples of the prior: it needs a gaussian bottleneck (vae-gan)",
            id="combination.critic-images",
        )


def _marks(recipe: Recipe, term: ImageTerm | None, start: str) -> Iterator[str]:
    """Of a corruption that marks the defects that it plants."""
    if not recipe.backbone.may_transform:
        yield Message(
            "a {backbone} backbone{start} only reproduces images: it has no channel that marks defects",
            id="combination.mask-backbone",
            backbone=recipe.backbone.kind,
            start=start,
        )
    if term is None:
        yield Message(
            "nothing teaches the channel that marks defects: add a term to objective.image, for example "
            "{image}+10*mask-focal",
            id="combination.mask-without-term",
            image=recipe.objective.image,
        )
    if recipe.objective.weight == 0:
        yield Message("objective.weight=0 also silences the terms of the mask", id="combination.mask-weight")
