"""`TrainingData`: the images that a training sees and those that it is validated on.

`settle_pairs` decides for training on pairs which recipes can learn from them, and the channels of their
targets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from isthmus.errors import DataError, Hint, UsageError
from isthmus.images.cache import cache_folder
from isthmus.images.conform import conform
from isthmus.images.grouping import group_images, number_groups
from isthmus.images.reading import read
from isthmus.images.shards import Inventory, inventory_of
from isthmus.images.store import ImageSet
from isthmus.images.subsets import even_rows, hold_out, keep_named, sample_evenly
from isthmus.metrics.noise import estimate_sigma
from isthmus.model import axes
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import PAIRED_RECIPE
from isthmus.training.config import TrainConfig
from isthmus.training.crop_plan import CropPlan, plan_crops
from isthmus.training.distributed import SINGLE_PROCESS, ProcessGroup
from isthmus.wording import format_count


def settle_pairs(recipe: Recipe, images: ImageSet) -> Recipe:
    """The recipe for these images; for pairs, with the number of channels of their targets.

    Raises:
        UsageError: a recipe for pairs without targets, or targets for a recipe that makes its own inputs.
    """
    outputs = images.target_channels
    corruption = recipe.corruption
    if outputs == 0:
        if corruption.is_paired:
            raise UsageError(
                "recipe {recipe} learns from pairs: each image needs a target",
                id="pairs.needed",
                hint=Hint.add(target="DIR"),
                recipe=recipe.name,
            )
        return recipe
    if corruption.is_paired:
        if corruption.target_channels not in (None, outputs):
            raise UsageError(
                "corruption.outputs={target_channels}, but the targets have {outputs} channels",
                id="pairs.target-channels",
                target_channels=corruption.target_channels,
                outputs=outputs,
            )
        return recipe.with_settings({"corruption.outputs": outputs})
    if not corruption.is_identity:
        raise UsageError(
            "recipe {recipe} makes its inputs itself (corruption {corruption}): train on "
            "pairs with {default_recipe}, or with another recipe without a corruption",
            id="pairs.corruption",
            recipe=recipe.name,
            corruption=corruption.kind,
            default_recipe=PAIRED_RECIPE,
        )
    return replace(recipe, corruption=axes.Pairs(outputs=outputs))


MAX_NOISE_IMAGES = 32


@dataclass(frozen=True)
class TrainingData:
    """Attributes:
    train: images to train on; held_out: images to validate on, or None.
    inventory: of everything the source holds, where only a part of it was taken.
    """

    train: ImageSet
    held_out: ImageSet | None = None
    inventory: Inventory | None = None


def read_training_data(
    data: Any,
    val: Any,
    recipe: Recipe,
    config: TrainConfig,
    group: ProcessGroup = SINGLE_PROCESS,
) -> tuple[TrainingData, CropPlan]:
    """The training and validation images, and how examples are cut from them, with the completed recipe.

    Several processes on one machine share one file of decoded pixels.

    Raises:
        DataError: unreadable, empty, without the labels that a balanced training needs, or of other channels
            in `val`; or the processes find different images.
    """
    if group.count > 1 and config.cache is None:
        config = replace(config, cache=str(cache_folder() / "folders"))
    parts, crops = group.run_first_per_machine(lambda: _read_parts(data, val, recipe, config))
    own = parts.train.fingerprint() if group.count > 1 else ""
    if own != group.broadcast(own):
        raise DataError(
            "{source} holds other images for this process than for process 0",
            id="training.processes-differ",
            source=parts.train.source,
        )
    return parts, crops


def check_same_data(images: ImageSet, fingerprint: str | None, source: str, field: str = "data") -> None:
    """Raises:
    UsageError: the images are not those that the training began with.
    """
    if images.fingerprint() != fingerprint:
        raise UsageError(
            "{source} is not the data that this training began with ({expected}): to resume, "
            "give the same {field}",
            id="training.resume-data",
            source=images.source,
            expected=source,
            field=field,
        )


def _read_parts(data: Any, val: Any, recipe: Recipe, config: TrainConfig) -> tuple[TrainingData, CropPlan]:
    # Resized at once: at full size they may not fit.
    is_mapped = isinstance(data, ImageSet) and data.target_channels > 0  # pairs were when they were read
    images = read(data, size=config.size, cache=config.cache, range=None if is_mapped else config.range)
    recipe = settle_pairs(recipe, images)
    if images.target_channels and val is not None:
        raise UsageError(
            "training on pairs takes no val: part of the pairs is held out instead",
            id="pairs.val",
            hint="leave out val",
        )
    inventory = None
    if config.names_from is not None or config.limit is not None:
        inventory = inventory_of([images])
    if config.names_from is not None:
        images = keep_named(images, config.names_from)
    images = sample_evenly(images, config.limit)
    if config.balance and images.labels is None:
        raise DataError(
            "{source} has no labels to balance",
            id="training.balance-without-labels",
            hint="put each class in a folder of its own",
            source=images.source,
        )
    crops = plan_crops(images, recipe, config)
    if crops.resize is not None:
        images = conform(images, size=crops.resize, channels=None)
    parts = replace(_split(images, val, crops, config), inventory=inventory)
    return parts, _measure_noise(crops, parts.train)


def _split(images: ImageSet, val: Any, crops: CropPlan, config: TrainConfig) -> TrainingData:
    holds_out = val is None and config.validation > 0 and config.private is None
    if config.groups is not None and not holds_out:
        raise UsageError(
            "groups has no effect: no images are held out for validation", id="training.groups-without-split"
        )
    if val is not None:
        val = read(val, cache=config.cache, range=config.range)
        return TrainingData(images, _conform_validation(val, images, crops))
    if config.validation == 0 or len(images) < 2 or config.private is not None:
        return TrainingData(images)
    images = group_images(images, config.groups)
    train, held_out = hold_out(images, config.validation, groups=number_groups(images))
    if len(held_out) == 0:
        return TrainingData(images)
    return TrainingData(images.subset(train), images.subset(held_out))


def _conform_validation(val: ImageSet, images: ImageSet, crops: CropPlan) -> ImageSet:
    # A vector code needs one size; a grid code takes any, and so do crops.
    size = crops.resize if crops.is_crop or crops.recipe.geometry.is_grid else crops.size
    channels = images.channels if images.channels in (1, 3) else None
    val = conform(val, size=size, channels=channels)
    if val.channels != images.channels:
        raise DataError(
            "{source} has {channels}, but the images to train on have {expected}",
            id="training.validation-channels",
            source=val.source,
            channels=format_count(val.channels, "channel"),
            expected=images.channels,
        )
    return val


def _measure_noise(crops: CropPlan, images: ImageSet) -> CropPlan:
    """Measure the noise of images that are noisy themselves, where it is not given."""
    if not crops.recipe.corruption.needs_noise_level:
        return crops
    rows = even_rows(len(images), MAX_NOISE_IMAGES, round_down=True)
    sigma = max(0.01, round(float(np.median([estimate_sigma(images.image(int(i))) for i in rows])), 2))
    recipe = crops.recipe.with_settings({"corruption.sigma": sigma})
    note = f"the images have noise of σ {sigma:g} of 255, measured on {len(rows)} (corruption.sigma)"
    return replace(crops, recipe=recipe, notes=(*crops.notes, note))
