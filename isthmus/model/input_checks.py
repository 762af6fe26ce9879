"""Whether images and codes that a user gives are those of a model."""

from __future__ import annotations

from torch import Tensor

from isthmus.errors import DataError
from isthmus.images.array_format import Kind


def check_channels(batch: Tensor, kind: Kind, channels: int) -> None:
    """Raises:
    DataError: `batch (N, C, H, W)` has other channels than the model reads.
    """
    given = batch.shape[1]
    if given == channels:
        return
    names = {1: "gray", 3: "RGB"}
    swapped = kind.layout == "NHWC" and batch.shape[2] == channels
    raise DataError(
        "this model reads {expected} images, not {given} ones",
        id="model.image-channels",
        hint="channels come last: np.moveaxis(images, 1, -1)" if swapped else None,
        expected=names.get(channels, f"{channels}-channel"),
        given=names.get(given, f"{given}-channel"),
    )


def check_code_shape(values: Tensor, size: tuple[int, int], wanted: tuple[int, ...]) -> None:
    """Raises:
    DataError: the numbers of one image are not of the shape that this model's code has for `size`.
    """
    if tuple(values.shape[1:]) == wanted:
        return
    raise DataError(
        "a code of this model for {height}×{width} images has shape (N, {expected}), not {given}",
        id="model.code-shape",
        height=size[0],
        width=size[1],
        expected=", ".join(map(str, wanted)),
        given=tuple(values.shape),
    )
