"""Recipes for training on pairs: which target channels, and which recipes can learn from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.model import axes
from isthmus.model.recipe import Recipe

DEFAULT_RECIPE = "transform-pairs"
FITTED_PIXELS = 2**19  # that a linear map of patches is fitted to, of evenly spaced pairs
PASS_PIXELS = 2**16


def pair_batches(pairs: ImageSet) -> Iterator[Tensor]:
    """Pairs `(N, C + T, H, W)` that a linear map is fitted to: evenly spaced, of large ones the middle."""
    if pairs.shape is not None:
        height, width = pairs.shape[:2]
    else:
        height, width = (min(image.shape[axis] for image in pairs) for axis in (0, 1))
    crop = min(height, 256), min(width, 256)
    size = crop[0] * crop[1]
    count = max(1, min(len(pairs), FITTED_PIXELS // size))
    rows = np.linspace(0, len(pairs) - 1, count).round().astype(np.int64)
    for batch in iter_batches(pairs, rows, batch=max(1, PASS_PIXELS // size), crop=crop):
        yield batch.images


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
                f"recipe {recipe.name} learns from pairs: give the images that inputs should become",
                hint=Hint.add(target="DIR"),
                id="no-target",
            )
        return recipe
    if corruption.is_paired:
        if corruption.target_channels not in (None, outputs):
            raise UsageError(
                f"corruption.outputs={corruption.target_channels}, and the targets have {outputs} channels",
                id="target-channels",
            )
        return recipe.with_settings({"corruption.outputs": outputs})
    if not corruption.is_identity:
        raise UsageError(
            f"recipe {recipe.name} makes its inputs itself (corruption {corruption.kind}): for pairs choose "
            f"{DEFAULT_RECIPE}, or a recipe without a corruption",
            id="target-and-corruption",
        )
    return replace(recipe, corruption=axes.Pairs(outputs=outputs))
