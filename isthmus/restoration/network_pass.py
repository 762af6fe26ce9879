"""One pass of a restoring network: borders, orientations, and the colours of an image in a gray network.

`reconstruct` averages over the eight orientations of an image (Lim et al. 2017, "Enhanced deep residual
networks for single image super-resolution", section 3.4): better, in eight times the time.

A gray network restores colour images in opponent axes: an orthonormal change of axes keeps white noise white
(Dabov et al. 2007, "Color image denoising via sparse 3D collaborative filtering"). The axes are scaled so
that each plane fills the range that the network was trained on; each plane then has its own σ.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.machine import multiplies_bfloat16
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted

ORIENTATIONS = 8  # four quarter turns, of the image and of its mirror image


def widened(images: Tensor, multiple: int) -> Tensor:
    """`(N, C, H, W)` with mirrored rows and columns at the end, up to multiples of what the network needs.

    The network itself would repeat the border, which turns noise into stripes that look like structure.
    """
    height, width = images.shape[-2:]
    down, right = -height % multiple, -width % multiple
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, down), mode=mode) if down or right else images


def check_ensemble(network: Autoencoder) -> None:
    """Raises:
    UsageError: the network was taught images one way up only.
    """
    if not network.summary.get("options", {}).get("turn"):
        raise UsageError(
            "an ensemble turns the image, and this model was trained on images one way up",
            id="restoration.one-way-up",
            hint=Hint.call("train", "DATA", recipe=network.recipe.name, augment_orientations=True),
        )


def reconstruct(
    network: Autoencoder, images: Tensor, corrupted: Corrupted | None, *, ensemble: bool
) -> Tensor:
    """`network.reconstruct_batch` of `(N, C, H, W)`, or its mean over all orientations.

    Its convolutions run in bfloat16 where the device has instructions for it. They compute the difference
    from the input, which is added in float32, so this costs a few hundredths of a decibel at most.
    """
    narrow = network.recipe.backbone.predicts_residual and multiplies_bfloat16(images.device)
    precision = torch.bfloat16 if narrow else None
    if not ensemble:
        return network.reconstruct_batch(images, corrupted, precision)
    total = torch.zeros_like(images)
    for way in range(ORIENTATIONS):
        turn = partial(rotate, way=way)
        turned = None if corrupted is None else corrupted.mapped(turn)
        total += rotate_back(network.reconstruct_batch(turn(images), turned, precision), way)
    return total / ORIENTATIONS


def rotate(images: Tensor, way: int) -> Tensor:
    """`(N, C, H, W)` in one of the eight orientations, 0 to 7."""
    mirrored = images.flip(-1) if way >= ORIENTATIONS // 2 else images
    return torch.rot90(mirrored, way % 4, (-2, -1)).contiguous()


def rotate_back(images: Tensor, way: int) -> Tensor:
    """The inverse of `rotate`."""
    upright = torch.rot90(images, -(way % 4), (-2, -1))
    return upright.flip(-1) if way >= ORIENTATIONS // 2 else upright


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
