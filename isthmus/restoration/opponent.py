"""Colour by a network that knows gray only: an orthonormal change of axes keeps white noise white.

The opponent axes of Dabov et al. (2007), "Color image denoising via sparse 3D collaborative filtering",
scaled so that each plane fills the range that the network was trained on; its noise then has its own σ.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
