"""Classic changes that keep an image's label: moved, mirrored, turned, brighter, noisy, partly covered."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import UsageError, nearest

DISTORTIONS: tuple[str, ...] = (
    "shift",
    "flip",
    "rotate",
    "zoom",
    "brightness",
    "contrast",
    "noise",
    "cutout",
)
MAX_SHIFT = 0.08  # of the side, each way
MAX_ANGLE_DEGREES = 12.0  # degrees
MAX_ZOOM = 0.12
MAX_BRIGHTNESS = 0.12
MAX_CONTRAST = 0.25
NOISE_SIGMA = 8 / 255
HOLE_SIDE = 0.3  # of the side


def distort(images: Tensor, kinds: Sequence[str], generator: torch.Generator) -> Tensor:
    """Each image changed at random by every kind named.

    Args:
        images: `(N, C, H, W)` in [0, 1].
        kinds: any of `DISTORTIONS`.

    Returns:
        The same shape, in [0, 1].

    Raises:
        UsageError: an unknown kind.
    """
    for kind in kinds:
        if kind not in DISTORTIONS:
            raise UsageError(
                "distortion '{kind}' is not known{suggestion}",
                id="augment.unknown-distortion",
                kind=kind,
                suggestion=nearest(kind, DISTORTIONS),
            )
    if len(images) == 0:
        return images
    result = _warp(images, kinds, generator)
    if "brightness" in kinds:
        result = result + _draw_uniform(images, generator) * MAX_BRIGHTNESS
    if "contrast" in kinds:
        middle = result.mean((1, 2, 3), keepdim=True)
        result = middle + (result - middle) * (1 + _draw_uniform(images, generator) * MAX_CONTRAST)
    if "noise" in kinds:
        result = result + torch.randn(result.shape, generator=generator) * NOISE_SIGMA
    if "cutout" in kinds:
        result = _cover_square(result, generator)
    return result.clamp(0, 1)


def _warp(images: Tensor, kinds: Sequence[str], generator: torch.Generator) -> Tensor:
    """Shift, flip, rotation and zoom as one affine map, so that pixels are resampled once."""
    if not {"shift", "flip", "rotate", "zoom"} & set(kinds):
        return images
    count, _, height, width = images.shape
    angle = torch.zeros(count)
    scale = torch.ones(count)
    mirror = torch.ones(count)
    shift = torch.zeros(count, 2)
    if "rotate" in kinds:
        angle = _draw_uniform(images, generator).flatten() * math.radians(MAX_ANGLE_DEGREES)
    if "zoom" in kinds:
        scale = torch.exp(_draw_uniform(images, generator).flatten() * MAX_ZOOM)
    if "flip" in kinds:
        mirror = 1.0 - 2.0 * torch.randint(0, 2, (count,), generator=generator).float()
    if "shift" in kinds:
        # Whole pixels: a shift alone must not blur.
        most = torch.tensor([max(1, round(width * MAX_SHIFT)), max(1, round(height * MAX_SHIFT))])
        steps = torch.rand(count, 2, generator=generator) * (2 * most + 1)
        shift = 2 * (steps.floor() - most) / torch.tensor([width, height])
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    aspect = width / height
    top = torch.stack([cosine * mirror, -sine / aspect, shift[:, 0]], 1)
    bottom = torch.stack([sine * aspect * mirror, cosine, shift[:, 1]], 1)
    grid = F.affine_grid(torch.stack([top, bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _cover_square(images: Tensor, generator: torch.Generator) -> Tensor:
    """A square at a random place of each image replaced by the image's mean (DeVries and Taylor 2017)."""
    count, _, height, width = images.shape
    side = max(1, round(min(height, width) * HOLE_SIDE))
    top = torch.randint(0, height - side + 1, (count, 1, 1), generator=generator)
    left = torch.randint(0, width - side + 1, (count, 1, 1), generator=generator)
    rows, columns = torch.arange(height).view(1, -1, 1), torch.arange(width).view(1, 1, -1)
    hole = (rows >= top) & (rows < top + side) & (columns >= left) & (columns < left + side)
    return torch.where(hole[:, None], images.mean((1, 2, 3), keepdim=True), images)


def _draw_uniform(images: Tensor, generator: torch.Generator) -> Tensor:
    """`(N, 1, 1, 1)` uniform in [−1, 1]."""
    return 2 * torch.rand(len(images), 1, 1, 1, generator=generator) - 1
