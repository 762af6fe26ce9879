"""`CropPlan`: how images become training examples. Code, size or crop and batch, chosen from the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from isthmus.errors import DataError
from isthmus.images.store import ImageSet, Ragged, side_range
from isthmus.messages import Message
from isthmus.model.recipe import Recipe
from isthmus.training.config import TrainConfig

SMALL_SIDE_PX = 64  # up to this side a whole image is one training example with a vector code
CROP_SIDE_PX = 64
# A batch holds about this many pixels once images are large: many small steps learn faster.
BATCH_PIXELS = 32 * 64 * 64
# With fewer steps, the warm-up of the learning rate takes a fifth of them, and the rest teaches little.
SHORT_STEPS = 300
MIN_SHORT_BATCH = 4


@dataclass(frozen=True)
class CropPlan:
    """How images become training examples.

    Attributes:
        recipe: with its code settled.
        resize: `(H, W)` every image is resized to before training, or None.
        size: `(H, W)` of an example; is_crop: whether it is cut from a larger image.
        notes: what was chosen and why.
    """

    recipe: Recipe
    resize: tuple[int, int] | None
    size: tuple[int, int]
    is_crop: bool
    notes: tuple[str, ...]


def plan_crops(images: ImageSet, recipe: Recipe, config: TrainConfig) -> CropPlan:
    """Choose code, size and crop from the data.

    Raises:
        DataError: the images are smaller than the requested crop.
    """
    notes: list[str] = []
    _, largest = side_range(images)
    uniform = images.shape is not None
    small = uniform and max(largest) <= SMALL_SIDE_PX and config.crop is None
    if config.size is not None:
        small = max(config.size) <= SMALL_SIDE_PX and config.crop is None
    if recipe.code == "auto":
        code = recipe.backbone.default_code(is_small=small, restores=recipe.corruption.wants_fine_code)
        recipe = replace(recipe, code=code)
        why = (
            Message("the default for images this small", id="choice.code-small-images")
            if small
            else Message("a grid code works at any image size", id="choice.code-grid")
        )
        notes.append(Message("code {code}: {reason} (code)", id="choice.code", code=code, reason=why))
    return CropPlan(recipe, *_size_examples(images, recipe, config, notes), tuple(notes))


def _usual_side(images: ImageSet) -> int:
    """The shorter side that three quarters of the images have at least."""
    if isinstance(images.pixels, Ragged):
        return int(np.quantile(images.pixels.shapes[:, :2].min(1), 0.25))
    return min(side_range(images)[0])


def _size_examples(
    images: ImageSet, recipe: Recipe, config: TrainConfig, notes: list[str]
) -> tuple[tuple[int, int] | None, tuple[int, int], bool]:
    """What images are resized to, the size of an example, and whether it is cut out."""
    (_, largest), is_grid = side_range(images), recipe.geometry.is_grid
    if config.crop is not None:
        if not is_grid:
            notes.append(
                Message(
                    "the code is a vector for {height}×{width} pieces; other sizes are resized",
                    id="choice.vector-pieces",
                    height=config.crop[0],
                    width=config.crop[1],
                )
            )
        return config.size, config.crop, True
    if config.size is not None:
        return config.size, config.size, False
    if images.shape is not None and max(largest) <= (CROP_SIDE_PX if is_grid else SMALL_SIDE_PX):
        return None, largest, False
    if max(largest) < 1:
        raise DataError("the images to train on have no pixels", id="training.no-pixels")
    why = (
        "sizes differ"
        if images.shape is None
        else Message(
            "images are {height}×{width}", id="choice.image-size", height=largest[0], width=largest[1]
        )
    )
    if not is_grid:
        side = SMALL_SIDE_PX
        notes.append(
            Message(
                "images are resized to {side}×{side}, because {reason} and the code is a vector "
                "(size, or code 32@8)",
                id="choice.resized",
                side=side,
                reason=why,
            )
        )
        return (side, side), (side, side), False
    # In a grid of fewer than eight steps most positions feel the border; multiples of 16 need no padding.
    # A few images that are smaller than the crop are extended by reflection.
    stride = recipe.geometry.stride or 1
    multiple = max(16, stride)
    least_side = max(CROP_SIDE_PX, 8 * stride, recipe.backbone.context_px)
    side = max(multiple, min(least_side, _usual_side(images) // multiple * multiple))
    notes.append(
        Message(
            "training on random {side}×{side} crops, because {reason} (crop, or size to resize)",
            id="choice.crops",
            side=side,
            reason=why,
        )
    )
    return None, (side, side), True


def choose_batch(count: int, crops: CropPlan) -> tuple[int, str]:
    """`(images per step, what to say)` when `count` images are trained on."""
    optimiser, size = crops.recipe.optimiser, crops.size
    if optimiser.takes_all_images:
        return count, Message(
            "batch {images}: full-batch descent takes all images at every step",
            id="choice.full-batch",
            images=count,
        )
    fitting = min(64, max(crops.recipe.backbone.least_batch, BATCH_PIXELS // (size[0] * size[1])))
    batch_asked = fitting if optimiser.batch is None else optimiser.batch
    # Of a few large images, each gives several crops to a batch.
    batch = batch_asked if crops.is_crop else min(batch_asked, count)
    return batch, Message(
        "batch {batch} (setting optimiser.batch)", id="choice.batch-setting", batch=batch
    ) if optimiser.batch is None else Message("batch {batch}", id="choice.batch", batch=batch)


def epochs_of(config: TrainConfig, recipe: Recipe) -> float | None:
    """The length in passes over the images, where it is one."""
    if config.epochs is not None or config.steps is not None or config.minutes is not None:
        return config.epochs
    return recipe.optimiser.epochs


def choose_short_batch(
    count: int, batch: int, crops: CropPlan, config: TrainConfig, processes: int = 1
) -> tuple[int, str] | None:
    """A smaller batch, and what to say, where `batch` leaves a length in epochs fewer than 300 steps.

    Few steps on few images learn next to nothing with any batch size; as many images in smaller batches do.
    None where the batch or the number of steps was given, and where every step takes all images.
    """
    optimiser, epochs = crops.recipe.optimiser, epochs_of(config, crops.recipe)
    if epochs is None or optimiser.batch is not None or optimiser.takes_all_images:
        return None
    smaller = max(MIN_SHORT_BATCH, processes, int(epochs * count / SHORT_STEPS))
    if smaller >= batch:
        return None
    return smaller, Message(
        "batch {smaller}: {epochs:g} epochs of batch {batch} are few steps (optimiser.batch)",
        id="choice.small-batch",
        smaller=smaller,
        epochs=epochs,
        batch=batch,
    )
