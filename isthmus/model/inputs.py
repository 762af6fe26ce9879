"""What a model is given: images with its number of channels, codes of its shape."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from isthmus.errors import DataError
from isthmus.images.array_format import Kind, to_batch
from isthmus.images.sample_range import Range

BATCH = 256  # images per pass in encode, decode and reconstruct; large images go in smaller batches
PIXELS_PER_PASS = 2**22


def read_batch(images: Any, channels: int, value_range: Range | None) -> tuple[Tensor, Kind]:
    """Images of any kind as `(N, C, H, W)`, and the kind to give back.

    Raises:
        DataError: not images, samples out of range, or another number of channels.
    """
    batch, kind = to_batch(images, channels=channels, range=value_range)
    if batch.shape[1] != channels:
        names = {1: "gray", 3: "RGB"}
        raise DataError(
            "this model reads {expected} images, not {given} ones",
            id="model.image-channels",
            hint="channels come last: np.moveaxis(images, 1, -1)"
            if kind.layout == "NHWC" and batch.shape[2] == channels
            else None,
            expected=names.get(channels, f"{channels}-channel"),
            given=names.get(batch.shape[1], f"{batch.shape[1]}-channel"),
        )
    return batch, kind


def check_code_shape(values: Tensor, expected: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raises:
    DataError: these are no codes `(N, *expected)` of images of this size.
    """
    if tuple(values.shape[1:]) != expected:
        raise DataError(
            "a code of this model for {height}×{width} images has shape (N, {expected}), not {given}",
            id="model.code-shape",
            height=size[0],
            width=size[1],
            expected=", ".join(map(str, expected)),
            given=tuple(values.shape),
        )


def images_per_pass(batch: Tensor | None, size: tuple[int, int] = (1, 1)) -> int:
    """How many images `(N, C, H, W)`, or images of a size, go through the network at a time."""
    pixels = batch[0].numel() if batch is not None else size[0] * size[1]
    return max(1, min(BATCH, PIXELS_PER_PASS // max(pixels, 1)))
