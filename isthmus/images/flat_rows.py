"""Arrays without all axes: images as rows `(N, 784)`, as tables hold them, and tensors of two or three axes.

They are refused with a hint, or reshaped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError
from isthmus.images.npz_keys import Shape
from isthmus.wording import format_count

# Lengths that are hardly the width of one image: 28×28 gray, 32×32 and 64×64 colour.
_SHAPES_BY_LENGTH: dict[int, Shape] = {784: (28, 28), 3072: (32, 32, 3), 12288: (64, 64, 3)}


def check_not_flat(array: npt.NDArray[Any], labels: Any, source: str) -> None:
    """Check that an array of two dimensions is one image and not a row for each of many.

    Args:
        labels: of the images, or None; as many as there are rows settle it.

    Raises:
        DataError: it is rows; the hint names the shape that they most likely have.
    """
    if array.ndim != 2:
        return
    rows, length = array.shape
    shape = _SHAPES_BY_LENGTH.get(length) or _square(length)
    is_labelled = labels is not None and np.ndim(labels) == 1 and len(labels) == rows != 1
    if shape is None or not (is_labelled or (length in _SHAPES_BY_LENGTH and rows >= 2)):
        return
    shape_text = "x".join(map(str, shape))
    path = source if source.lower().endswith((".npy", ".npz")) else None
    python = f"isthmus.read(images, shape={shape}); one image is images[None]"
    raise DataError(
        "{source}: {shape} is {images} as rows of {length}, or one very wide image",
        id="data.flat-rows",
        hint=f"{path}:{shape_text}, in the shell also --shape {shape_text}" if path else python,
        source=source,
        shape=array.shape,
        images=format_count(rows, "image"),
        length=length,
    )


def unflatten(array: npt.NDArray[Any], shape: Shape, source: str) -> npt.NDArray[Any]:
    """Rows `(N, H·W·C)` as images `(N, H, W, C)`.

    Raises:
        DataError: not rows, or of another length.
    """
    height, width, channels = (*shape, 1)[:3]
    if array.ndim != 2 or array.shape[1] != height * width * channels or not array.shape[1]:
        raise DataError(
            "{source}: images of {wanted} are rows of {length}, and this array is {shape}",
            id="data.rows-shape",
            source=source,
            wanted="×".join(map(str, shape)),
            length=height * width * channels,
            shape=array.shape,
        )
    return array.reshape(len(array), height, width, channels)


def suggest_tensor_axes(shape: tuple[int, ...]) -> str | None:
    """How a tensor of two or three dimensions becomes (N, C, H, W): a hint, or None.

    >>> suggest_tensor_axes((3, 32, 32))
    'images[None] is one image (C, H, W)'
    >>> suggest_tensor_axes((60000, 28, 28))
    'images[:, None] is gray images (N, H, W)'
    """
    if len(shape) == 2:
        return "images[None, None] is one gray image (H, W)"
    if len(shape) != 3:
        return None
    if shape[2] in (1, 3, 4) and shape[0] > 4:
        return "images.permute(2, 0, 1)[None] is one image (H, W, C)"
    if shape[0] in (1, 3, 4):
        return "images[None] is one image (C, H, W)"
    return "images[:, None] is gray images (N, H, W)"


def _square(length: int) -> Shape | None:
    for channels in (1, 3):
        side = math.isqrt(length // channels)
        if side >= 4 and side * side * channels == length:
            return (side, side) if channels == 1 else (side, side, 3)
    return None
