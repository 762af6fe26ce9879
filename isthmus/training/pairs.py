"""Recipes for training on pairs: which target channels, and which recipes can learn from them."""

from __future__ import annotations

from dataclasses import replace

from isthmus.errors import Hint, UsageError
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.recipe import Recipe

DEFAULT_RECIPE = "transform-pairs"


def settle_pairs(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe for these images: for pairs with the channels of their targets, else as it is.

    Raises:
        UsageError: a recipe for pairs without targets, or targets for a recipe that makes its own inputs.
    """
    outputs = images.target_channels
    corruption = recipe.corruption
    if outputs == 0:
        if corruption.is_paired:
            raise UsageError(
                "recipe {recipe} learns from pairs: give the images that inputs should become",
                id="pairs.needed",
                hint=Hint.add(target="DIR"),
                recipe=recipe.name,
            )
        return recipe
    if corruption.is_paired:
        if corruption.target_channels not in (None, outputs):
            raise UsageError(
                "corruption.outputs={target_channels}, and the targets have {outputs} channels",
                id="pairs.target-channels",
                target_channels=corruption.target_channels,
                outputs=outputs,
            )
        return recipe.with_settings({"corruption.outputs": outputs})
    if not corruption.is_identity:
        raise UsageError(
            "recipe {recipe} makes its inputs itself (corruption {corruption}): for pairs choose "
            "{default_recipe}, or a recipe without a corruption",
            id="pairs.corruption",
            recipe=recipe.name,
            corruption=corruption.kind,
            default_recipe=DEFAULT_RECIPE,
        )
    return replace(recipe, corruption=axes.Pairs(outputs=outputs))
