"""A smooth first guess for missing pixels, from averages of what is visible near by.

The pull-push pyramid of Gortler et al. (1996), "The Lumigraph", section 3.4: visible pixels are averaged in
2×2 cells until every cell has seen some, then missing pixels are read from the next coarser level. On the way
back each level is relaxed: some steps towards every missing pixel being the mean of its neighbours, most of
them on the fine levels (a cascade of grids, Bornemann and Deuflhard 1996).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RELAXED = (8, 4, 2, 1)  # steps on each level from the finest on; the last number holds for all coarser
LEVELS = 6  # cells of 64 pixels; what lies beyond is read from `beyond`, or averaged on


def fill(images: Tensor, visible: Tensor, beyond: Tensor | None = None) -> Tensor:
    """`images` with what is missing filled in; visible pixels are returned as they are.

    Args:
        images: `(N, C, H, W)`; what stands in missing pixels is not looked at.
        visible: `(N, 1, H, W)` booleans.
        beyond: `(N, C, ⌈H/64⌉, ⌈W/64⌉)` values for cells of 64 pixels without any visible one, as
            `fill_cells` gives them. By default they follow from the images.
    """
    weight = visible.to(images.dtype)
    return _filled(images * weight, weight, beyond, LEVELS)


def fill_cells(averages: Tensor, is_known: Tensor) -> Tensor:
    """What `fill` takes as `beyond`, from the `cells` of a whole image."""
    weight = is_known.to(averages.dtype)
    return _filled(averages * weight, weight, None, 0)


def cells(images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Averages of the visible pixels in cells of 64, and which cells have any, for `fill_cells`."""
    weight = visible.to(images.dtype)
    values = images * weight
    for _ in range(LEVELS):
        values, weight = _pulled(values, weight)
    return values / weight.clamp_min(1e-12), weight > 0


def _filled(values: Tensor, weight: Tensor, beyond: Tensor | None, levels: int) -> Tensor:
    """`values` hold weight × average. The result is complete."""
    average = values / weight.clamp_min(1e-12)
    is_known = weight > 0
    if bool(is_known.all()):
        return average
    height, width = values.shape[-2:]
    if levels == 0 and beyond is not None:
        return torch.where(is_known, average, beyond)
    if height == width == 1:
        return average  # nothing is visible anywhere: zero
    coarser, coarse_weight = _pulled(values, weight)
    pushed = _filled(coarser, coarse_weight, beyond, levels - 1)
    # Cells are 2×2 also at an odd border, so the picture is enlarged by exactly two and cut.
    finer = F.interpolate(pushed, scale_factor=2, mode="bilinear", align_corners=False)
    guess = torch.where(is_known, average, finer[..., :height, :width])
    for _ in range(RELAXED[min(LEVELS - levels, len(RELAXED) - 1)]):
        guess = torch.where(is_known, average, _around(guess))
    return guess


def _around(images: Tensor) -> Tensor:
    """The mean of the four neighbours; outside of the image a pixel is its own."""
    wide = F.pad(images, (1, 1, 1, 1), mode="replicate")
    rows, columns = wide[..., 1:-1], wide[..., 1:-1, :]
    return (rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]) / 4


def _pulled(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    odd = (0, values.shape[-1] % 2, 0, values.shape[-2] % 2)
    coarser = F.avg_pool2d(F.pad(values, odd), 2) * 4
    total = F.avg_pool2d(F.pad(weight, odd), 2) * 4
    # A cell's say is limited to one pixel's, so that a dense neighbour does not drown a sparse one.
    limit = total.clamp_min(1.0)
    return coarser / limit, total / limit
