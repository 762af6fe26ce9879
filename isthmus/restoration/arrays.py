"""Images as callers give them: one or many, NumPy or torch, with alpha or without; and the same kind back.

A gray network restores colour images in opponent axes: an orthonormal change of axes keeps white noise white
(Dabov et al. 2007, "Color image denoising via sparse 3D collaborative filtering"). The axes are scaled so
that each plane fills the range that the network was trained on; each plane then has its own σ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.images.bands import MAX_CHANNELS
from isthmus.restoration.pieces import like


def on_cpu(image: Any) -> Any:
    """A tensor where the pieces are put together, without its gradient; NumPy as it is."""
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


def each(image: Any, restore: Callable[[Any, int], Any]) -> Any:
    """Restore one image, or every image of a tensor `(N, C, H, W)`; alpha is copied as it is.

    `restore(colour, index)` is given one image without alpha, of a tensor `(1, C, H, W)`, and gives the same
    kind back.
    """
    image = image if isinstance(image, Tensor) else np.asarray(image)
    alpha = channels_of(image) in (2, 4)
    if not isinstance(image, Tensor):
        colour = restore(colour_of(image), 0)
        return np.concatenate([colour, image[..., -1:]], -1) if alpha else colour
    out = like(image)
    for index in range(len(image)):
        colour = colour_of(image[index : index + 1])
        out[index, : colour.shape[1]] = restore(colour, index)[0]
        if alpha:
            out[index, -1] = image[index, -1]
    return out


# Rows: luminance, red against blue, green against both.
_AXES = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
_LENGTH = _AXES.square().sum(1).sqrt()
# Luminance lies in [0, 1] after division by 3; the others keep σ and lie around ½.
_SCALE = torch.tensor([3.0, 2**0.5, 6**0.5])
_SHIFT = torch.tensor([0.0, 0.5, 0.5])
SIGMAS = tuple((_LENGTH / _SCALE).tolist())  # of each plane, as a multiple of the image's


def to_planes(images: Tensor) -> Tensor:
    """`(N, 3, H, W)` → `(3N, 1, H, W)`: the planes of each image after one another."""
    n, _, h, w = images.shape
    planes = torch.einsum("pc,nchw->nphw", _AXES / _SCALE[:, None], images) + _SHIFT.view(1, 3, 1, 1)
    return planes.reshape(3 * n, 1, h, w)


def from_planes(planes: Tensor) -> Tensor:
    """The inverse of `to_planes`."""
    n, (h, w) = len(planes) // 3, planes.shape[-2:]
    stacked = planes.reshape(n, 3, h, w) - _SHIFT.view(1, 3, 1, 1)
    weights = (_SCALE / _LENGTH.square())[:, None] * _AXES  # (plane, channel)
    return torch.einsum("pc,nphw->nchw", weights, stacked)
