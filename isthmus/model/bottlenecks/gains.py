"""One model, many rates: quality decides how finely each channel is rounded (Cui et al. 2021, §3).

Quality runs from 1 to 100; the logarithm of λ, what a squared error weighs beside a bit, is linear in it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

KNOTS = 6
BEST = 100.0
# Adam moves a number by about the learning rate each step, and logarithms of steps and spreads have to move
# by units, not by hundredths: they are kept divided by this.
UNIT = 20.0


class Gains(nn.Module):
    """Steps per unit of each channel at a quality: a table of logarithms over quality, interpolated."""

    def __init__(self, low: float, high: float, channels: int) -> None:
        """`low`, `high`: λ at quality 1 and 100."""
        super().__init__()
        self.low, self.high = low, high
        # Where an orthonormal transform of RGB would begin: bits per pixel fall by 3·log₂e/step, and λ·255²
        # times the squared error step²/12 rises by λ·255²·step/6.
        start = self.weight(torch.linspace(1, BEST, KNOTS)) * 65025 / (18 / math.log(2))
        self.log_gain = nn.Parameter(0.5 / UNIT * start.log()[:, None].repeat(1, channels))

    def weight(self, quality: Tensor) -> Tensor:
        """λ at a quality."""
        return self.low * (self.high / self.low) ** ((quality - 1) / (BEST - 1))

    def forward(self, quality: Tensor) -> Tensor:
        """`(N,)` in [1, 100] → `(N, channels)`, positive."""
        return (UNIT * interpolated(self.log_gain, quality)).exp()


def interpolated(table: Tensor, quality: Tensor) -> Tensor:
    """Rows of `table (KNOTS, C)`, evenly spaced over qualities 1 to 100, at `quality (N,)` → `(N, C)`."""
    place = (quality.clamp(1.0, BEST) - 1) / (BEST - 1) * (len(table) - 1)
    below = place.floor().clamp(max=len(table) - 2).long()
    share = (place - below)[:, None]
    return table[below] * (1 - share) + table[below + 1] * share


def draw(count: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """`(count,)` qualities, uniform, evenly spread over a batch so that every step sees all rates."""
    places = torch.arange(count, device=device) + torch.rand(count, generator=generator, device=device)
    order = torch.randperm(count, generator=generator, device=device)
    return 1 + (BEST - 1) * places[order] / count


def nats_per_error(weight: Tensor, channels: int) -> Tensor:
    """What the objective's mean squared error (of values in [0, 1]) weighs beside nats per pixel-channel.

    `bits per pixel + λ·255²·MSE` (Ballé et al. 2018, §2) in the unit of the objective.
    """
    return weight * 65025 * math.log(2) / channels
