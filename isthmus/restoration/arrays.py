"""Images as callers give them: one or many, NumPy or torch, with alpha or without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.conform import is_gray


def on_cpu(image: Any) -> Any:
    """A tensor on the CPU, where pieces are assembled, without its gradient; NumPy arrays unchanged."""
    return image.detach().cpu() if isinstance(image, Tensor) else image


def colour_of(image: Any) -> Any:
    """The gray or colour part of `(H, W)`, `(H, W, C)` or `(N, C, H, W)`, without alpha; a view."""
    channels = channels_of(image)
    if channels in (2, 4):
        return image[:, : channels - 1] if isinstance(image, Tensor) else image[..., : channels - 1]
    return image


def opaque_of(image: Any, index: int = 0) -> npt.NDArray[np.bool_] | None:
    """`(H, W)` of one image, False where its alpha is 0; None where all of it can be seen."""
    if channels_of(image) not in (2, 4):
        return None
    alpha = image[index, -1].float().cpu().numpy() if isinstance(image, Tensor) else image[..., -1]
    opaque: npt.NDArray[np.bool_] = alpha > 0
    return None if opaque.all() else opaque


def channels_of(image: Any) -> int:
    """1 for `(H, W)`.

    Raises:
        DataError: not `(H, W)`, `(H, W, 1 to 64)` or a tensor `(N, 1 to 64, H, W)`, or without pixels.
    """
    if isinstance(image, Tensor):
        good = image.ndim == 4 and 1 <= image.shape[1] <= MAX_CHANNELS
        channels = int(image.shape[1]) if good else 0
    else:
        good = image.ndim == 2 or (image.ndim == 3 and 1 <= image.shape[2] <= MAX_CHANNELS)
        channels = 1 if image.ndim == 2 else int(image.shape[-1])
    if not good:
        raise DataError(
            "an image is (H, W), (H, W, C) or a tensor (N, C, H, W) with 1 to {most} channels, not {shape}",
            id="restoration.image-shape",
            most=MAX_CHANNELS,
            shape=tuple(image.shape),
        )
    if 0 in image.shape:
        raise DataError(
            "no pixels in an image of shape {shape}", id="restoration.no-pixels", shape=tuple(image.shape)
        )
    return channels


def iter_colours(image: Any) -> Iterator[Any]:
    """The gray or colour part of one image, or `(1, C, H, W)` of each image of a tensor; views."""
    if isinstance(image, Tensor):
        yield from (colour_of(image[index : index + 1]) for index in range(len(image)))
    else:
        yield colour_of(image)


def copy_of(image: Any) -> Any:
    """A copy of the image to write the result into."""
    return image.clone() if isinstance(image, Tensor) else np.array(image, order="C")


def as_rows(image: Any) -> npt.NDArray[Any]:
    """NumPy `(H, W[, C])` as it is, torch `(1, C, H, W)` as NumPy `(H, W, C)`."""
    if not isinstance(image, Tensor):
        return np.asarray(image)
    wide = image if image.dtype in (torch.uint8, torch.uint16) else image.float()
    return wide[0].permute(1, 2, 0).cpu().numpy()


def merge_equal_channels(image: Any) -> Any:
    """One channel of a colour image whose channels are equal; any other image as it is."""
    if isinstance(image, Tensor):
        return image[:, :1] if is_gray(image.movedim(1, -1)) else image
    return image[..., :1] if image.ndim == 3 and is_gray(image) else image
