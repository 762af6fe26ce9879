"""The network for the velocity from noise to folded images, given a condition.

Two resolutions, residual convolutions, and attention between all positions of the coarse one (Ho et al. 2020;
Dhariwal and Nichol 2021). Its output starts at zero. A part of the output is multiplied by the noisy image,
because the share of noise differs from place to place, and convolutions are slow to learn a product.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model.backbones.linear_path import silence

FREQUENCIES = 16
CONDITION = 128
HEAD_WIDTH = 32  # numbers of one attention head
GROUPS = 8


class Denoiser(nn.Module):
    """For images of `channels` at the grid `size`, whose sides are even, and `given` channels beside them."""

    def __init__(
        self, channels: int, given: int, width: tuple[int, int], blocks: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        fine, coarse = width
        self.time = nn.Linear(2 * FREQUENCIES + 1, CONDITION)
        self.condition = nn.Linear(CONDITION, CONDITION)
        self.first = nn.Conv2d(channels + given, fine, 3, padding=1)
        self.positions = nn.Parameter(torch.zeros(1, fine, *size))
        nn.init.normal_(self.positions, std=0.1)
        self.before = nn.ModuleList(_Block(fine) for _ in range(blocks))
        self.down = nn.Conv2d(fine, coarse, 2, 2)
        self.low = nn.ModuleList(_Block(coarse) for _ in range(2 * blocks))
        self.attention = nn.ModuleList(_Attention(coarse) for _ in range(blocks))
        self.up = nn.Conv2d(coarse, 4 * fine, 1)
        self.after = nn.ModuleList(_Block(fine) for _ in range(blocks))
        self.norm = _norm(fine)
        self.last = nn.Conv2d(fine, 2 * channels, 3, padding=1)
        silence(self.last)

    def forward(self, noisy: Tensor, given: Tensor, time: Tensor, doubt: Tensor) -> Tensor:
        """`(N, channels, h, w)` and `(N, given, h, w)` → `(N, channels, h, w)`.

        Args:
            time: `(N,)` in [0, 1] from noise to image.
            doubt: `(N,)`: noise on what is known.
        """
        numbers = torch.cat([encode_time(time), doubt[:, None]], 1)
        c = F.silu(self.condition(F.silu(self.time(numbers))))
        x = torch.cat([noisy, given], 1).contiguous(memory_format=torch.channels_last)
        h = self.first(x) + self.positions
        for block in self.before:
            h = block(h, c)
        low = self.down(h)
        for index, block in enumerate(self.low):
            low = block(low, c)
            if index < len(self.attention):
                low = self.attention[index](low)
        h = h + F.pixel_shuffle(self.up(low), 2)
        for block in self.after:
            h = block(h, c)
        factor, rest = self.last(F.silu(self.norm(h))).chunk(2, 1)
        velocity: Tensor = factor * noisy + rest
        return velocity


def encode_time(time: Tensor) -> Tensor:
    """`(N,)` in [0, 1] → `(N, 32)`: sines and cosines of 16 frequencies (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0, math.log(64), FREQUENCIES, device=time.device))
    angles = time[:, None] * frequencies * math.pi
    return torch.cat([angles.sin(), angles.cos()], 1)


def attend(projected: Tensor, heads: int) -> Tensor:
    """Queries, keys and values of all positions `(N, positions, 3·width)` → `(N, positions, width)`."""
    count, places, numbers = projected.shape
    q, k, v = projected.view(count, places, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, places, numbers // 3)


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_norm(width) for _ in range(2))
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(CONDITION, 2 * width)
        self.outer = nn.Conv2d(width, width, 3, padding=1)
        silence(self.outer)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        scale, offset = self.modulation(c)[:, :, None, None].chunk(2, 1)
        inner = self.norms[1](self.inner(F.silu(self.norms[0](h)))) * (1 + scale) + offset
        result: Tensor = h + self.outer(F.silu(inner))
        return result


class _Attention(nn.Module):
    """Every position attends to all, then a perceptron at each (Vaswani et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.queries = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        for layer in (self.mixed, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, h: Tensor) -> Tensor:
        x = h.flatten(2).transpose(1, 2)
        x = x + self.mixed(attend(self.queries(self.norms[0](x)), self.heads))
        x = x + self.outer(F.silu(self.inner(self.norms[1](x))))
        result: Tensor = x.transpose(1, 2).reshape(h.shape)
        return result.contiguous(memory_format=torch.channels_last)


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, width), width)
