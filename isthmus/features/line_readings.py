"""What the score `structure` reads from a picture: strengths of lines and brightness by place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 10  # per side
DIRECTIONS = 4
STRENGTHS = 2 * DIRECTIONS  # dark and bright lines
FEATURES = STRENGTHS + 1  # and brightness
RADIUS_PX = 3  # of the filters, whose Gaussian has a deviation of one pixel
LEVEL_OFFSET, LOW_OFFSET = 0.04, 0.02  # in [0, 1], added before a logarithm is taken
LOW_PERCENT, INNER_MARGIN = 10, 0.1  # of pixels; of each side


@torch.no_grad()
def read_lines(pictures: Tensor) -> Tensor:
    """`(n, C, H, W)` in [0, 1] → `(n, 10, 10, 10)`: strengths of lines and brightness in each cell.

    The last channel has one value: the logarithm of the low percentile of the inner picture.
    """
    return torch.stack([_read_picture(picture) for picture in pictures])


def _read_picture(picture: Tensor) -> Tensor:
    height, width = picture.shape[1:]
    level = F.adaptive_avg_pool2d(picture.mean(0)[None], CELLS)
    strengths = torch.zeros(STRENGTHS, CELLS, CELLS)
    rows, columns = _cell_borders(height), _cell_borders(width)
    for channel in picture:
        for place, (top, bottom) in enumerate(rows):  # bands of cells: large pictures need little memory
            lines = _find_lines(channel, top, bottom).square_()
            for other, (left, right) in enumerate(columns):
                strengths[:, place, other] += lines[:, :, left:right].mean((1, 2)) / len(picture)
    low = _low_percentile(picture.mean(0)).add(LOW_OFFSET).log()
    return torch.cat([strengths, (level + LEVEL_OFFSET).log(), low.expand(1, CELLS, CELLS)])


def _cell_borders(length: int) -> list[tuple[int, int]]:
    """As `adaptive_avg_pool2d` divides a side: cells of a side shorter than their number overlap."""
    return [(i * length // CELLS, -(-(i + 1) * length // CELLS)) for i in range(CELLS)]


def _find_lines(channel: Tensor, top: int, bottom: int) -> Tensor:
    """`(8, bottom − top, W)`: second derivatives in four directions, positive parts, then negative ones."""
    above, below = max(0, top - RADIUS_PX), min(len(channel), bottom + RADIUS_PX)
    missing = (RADIUS_PX - (top - above), RADIUS_PX - (below - bottom))
    band = (channel[above:below] + LEVEL_OFFSET).log()[None, None]
    band = F.pad(band, (RADIUS_PX, RADIUS_PX, *missing), mode="replicate")
    along = torch.arange(-RADIUS_PX, RADIUS_PX + 1, dtype=torch.float32)
    smooth = (-along.square() / 2).exp()
    smooth = smooth / smooth.sum()
    slope = along * smooth
    bend = (along.square() - (along.square() * smooth).sum()) * smooth
    by_row = F.conv2d(band, torch.stack([smooth, slope, bend]).view(3, 1, 1, -1))
    kernels = torch.stack([bend, slope, smooth]).view(3, 1, -1, 1)
    down, mixed, across = F.conv2d(by_row, kernels, groups=3)[0]
    middle = (down + across) / 2
    curved = torch.stack([across, down, middle + mixed, middle - mixed])
    return torch.cat([curved.clamp_min(0), (-curved).clamp_min(0)])


def _low_percentile(gray: Tensor) -> Tensor:
    margins = [int(side * INNER_MARGIN) for side in gray.shape]
    inner = gray[margins[0] : gray.shape[0] - margins[0], margins[1] : gray.shape[1] - margins[1]].flatten()
    return inner.kthvalue(max(1, -(-len(inner) * LOW_PERCENT // 100))).values
