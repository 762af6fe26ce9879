"""Maps that tell a network where it is: `(1, P, h, w)`, the same for every image.

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


class PositionMap(nn.Module):
    """`forward(h, w)` gives `(1, channels, h, w)`; `channels` is 0 for no positions."""

    def __init__(self, positions: axes.Positions, grid: tuple[int, int]) -> None:
        """`grid`: rows and columns at the training size; where the learned map has its own resolution."""
        super().__init__()
        self.bands = positions.bands if isinstance(positions, axes.Sinusoidal) else 0
        self.kind = positions.kind
        self.channels = {"none": 0, "coordinates": 2, "sinusoidal": 4 * self.bands}.get(positions.kind, 0)
        self.learned: nn.Parameter | None = None
        if isinstance(positions, axes.Learned):
            self.channels = positions.channels
            self.learned = nn.Parameter(torch.randn(1, positions.channels, *grid) * 0.5)

    def forward(self, h: int, w: int, like: Tensor) -> Tensor:
        """The map at `h` rows and `w` columns, on the device and in the type of `like`."""
        if self.learned is not None:
            learned = self.learned.to(like.dtype)
            if learned.shape[-2:] != (h, w):
                learned = F.interpolate(learned, size=(h, w), mode="bilinear", align_corners=False)
            return learned
        rows = torch.linspace(-1, 1, h, device=like.device, dtype=torch.float32)
        columns = torch.linspace(-1, 1, w, device=like.device, dtype=torch.float32)
        ramps = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))  # (2, h, w)
        if self.kind == "sinusoidal":
            frequencies = math.pi / 2 * 2.0 ** torch.arange(self.bands, device=like.device)
            phases = (ramps[None] * frequencies[:, None, None, None]).flatten(0, 1)  # (2·bands, h, w)
            ramps = torch.cat([phases.sin(), phases.cos()])
        return ramps[None].to(like.dtype)

    def beside(self, x: Tensor) -> Tensor:
        """`x (N, C, h, w)` with the map as further channels; `x` itself when there are no positions."""
        if self.channels == 0:
            return x
        where = self(x.shape[-2], x.shape[-1], x).expand(x.shape[0], -1, -1, -1)
        return torch.cat([x, where], 1)
