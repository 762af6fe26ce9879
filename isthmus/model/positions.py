"""Maps of positions for a network: `(1, P, h, w)`, the same for every image.

`coordinates` are two ramps from −1 to 1 (Liu et al. 2018, CoordConv), `sinusoidal` sines and cosines of them
at doubling frequencies (Vaswani et al. 2017, in relative coordinates so that any size works), `learned` a
small parameter grid, resized bilinearly to the asked size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.axes.point import network_of


class PositionMap(nn.Module):
    """`forward(h, w, like)` gives `(1, channels, h, w)`; here there are none, and `channels` is 0."""

    channels: int = 0

    def __init__(self, positions: axes.Positions, grid: tuple[int, int]) -> None:  # noqa: ARG002
        """`grid`: rows and columns at the training size, which are the resolution of the learned map."""
        super().__init__()

    def forward(self, h: int, w: int, like: Tensor) -> Tensor:
        """The map at `h` rows and `w` columns, on the device and in the type of `like`."""
        return like.new_zeros(1, 0, h, w)

    def beside(self, x: Tensor) -> Tensor:
        """`x (N, C, h, w)` with the map as further channels; `x` itself when there are no positions."""
        if self.channels == 0:
            return x
        where = self(x.shape[-2], x.shape[-1], x).expand(x.shape[0], -1, -1, -1)
        return torch.cat([x, where], 1)


def position_map(positions: axes.Positions, grid: tuple[int, int]) -> PositionMap:
    """The map that `positions` ask for, see `PositionMap`."""
    made: PositionMap = network_of(positions)(positions, grid)
    return made


class CoordinateMap(PositionMap):
    channels = 2

    def forward(self, h: int, w: int, like: Tensor) -> Tensor:
        return _ramps(h, w, like)[None].to(like.dtype)


class SinusoidalMap(PositionMap):
    def __init__(self, positions: axes.Sinusoidal, grid: tuple[int, int]) -> None:
        super().__init__(positions, grid)
        self.bands = positions.bands
        self.channels = 4 * self.bands

    def forward(self, h: int, w: int, like: Tensor) -> Tensor:
        frequencies = math.pi / 2 * 2.0 ** torch.arange(self.bands, device=like.device)
        phases = (_ramps(h, w, like)[None] * frequencies[:, None, None, None]).flatten(0, 1)
        return torch.cat([phases.sin(), phases.cos()])[None].to(like.dtype)  # 4·bands channels


class LearnedMap(PositionMap):
    def __init__(self, positions: axes.Learned, grid: tuple[int, int]) -> None:
        super().__init__(positions, grid)
        self.channels = positions.channels
        self.learned = nn.Parameter(torch.randn(1, positions.channels, *grid) * 0.5)

    def forward(self, h: int, w: int, like: Tensor) -> Tensor:
        learned = self.learned.to(like.dtype)
        if learned.shape[-2:] != (h, w):
            learned = F.interpolate(learned, size=(h, w), mode="bilinear", align_corners=False)
        return learned


def _ramps(h: int, w: int, like: Tensor) -> Tensor:
    """`(2, h, w)` from −1 to 1."""
    rows = torch.linspace(-1, 1, h, device=like.device, dtype=torch.float32)
    columns = torch.linspace(-1, 1, w, device=like.device, dtype=torch.float32)
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
