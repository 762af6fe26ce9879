"""What is already coded foretells what comes next: mean and scale of each value, linear in its context.

Channels are coded one after another, each in the two passes of a checkerboard. Context of a value are all
earlier channels in its 3×3 neighbourhood, and, in the second pass, the four neighbours in its own channel.
The mean is linear in their values and the scale in their magnitudes, so that integer arithmetic can do the
same when files are written (conditioning in the spirit of Minnen et al. 2018, §3, and 2020, §3.1; the
checkerboard of He et al. 2021, §3.2), and training shapes the latents for exactly such a coder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 3
_CROSS = ((0.0, 1.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0))
LEAST_SCALE = 0.05  # in steps: below, almost every value is certain, and gradients would explode


class ChannelContext(nn.Module):
    """`forward(values (N, C, h, w)) -> (mean, magnitude)`, both of that shape, in the unit of the values.

    `magnitude` may be negative; the caller adds what a value has without any context, and bounds it.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        shape = (channels, channels, SIDE, SIDE)
        self.mean = nn.Parameter(torch.zeros(shape))
        self.magnitude = nn.Parameter(torch.zeros(shape))
        self.mean_beside = nn.Parameter(torch.zeros(channels, 1, SIDE, SIDE))
        self.magnitude_beside = nn.Parameter(torch.full((channels, 1, SIDE, SIDE), 0.05))

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        first = checkerboard(values)
        return (
            self._linear(values, self.mean, self.mean_beside, first),
            self._linear(values.abs(), self.magnitude, self.magnitude_beside, first),
        )

    def _linear(self, seen: Tensor, weight: Tensor, beside: Tensor, first: Tensor) -> Tensor:
        earlier = torch.ones(weight.shape[:2], device=weight.device).tril(-1)[..., None, None]
        across = F.conv2d(seen, weight * earlier, padding=SIDE // 2)
        # The four neighbours of a value of the second pass all belong to the first.
        cross = torch.tensor(_CROSS, device=weight.device)
        own = F.conv2d(seen, beside * cross, padding=SIDE // 2, groups=seen.shape[1])
        return across + own * ~first


def checkerboard(like: Tensor) -> Tensor:
    """`(h, w)` boolean: True where row + column is even, the values of the first pass."""
    rows = torch.arange(like.shape[-2], device=like.device)[:, None]
    columns = torch.arange(like.shape[-1], device=like.device)
    return (rows + columns) % 2 == 0
