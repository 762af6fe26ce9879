"""The networks behind a flow: where noisy codes move to, given how far along they are and of which part.

A vector code gets a residual perceptron, a grid code a small U-Net without down-sampling beyond one halving,
so that it takes grids of any size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES = 16
CONDITION = 128


class Condition(nn.Module):
    """Time and part → a vector: sines of the time, one learned vector per part."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = nn.Embedding(parts, CONDITION)
        self.times = nn.Linear(2 * FREQUENCIES, CONDITION)
        nn.init.normal_(self.parts.weight, std=0.3)

    def forward(self, time: Tensor, parts: Tensor) -> Tensor:
        """`time (N,)` in [0, 1], `parts (N,)` → `(N, 128)`."""
        frequencies = torch.exp(torch.linspace(0, math.log(64), FREQUENCIES, device=time.device))
        angles = time[:, None] * frequencies * math.pi
        return F.silu(self.times(torch.cat([angles.sin(), angles.cos()], 1)) + self.parts(parts))


class VectorVelocity(nn.Module):
    """Residual layers on a vector; the last layer starts at zero, so that the flow starts as the mixture."""

    def __init__(self, numbers: int, parts: int, width: int, depth: int) -> None:
        super().__init__()
        self.condition = Condition(parts)
        self.first = nn.Linear(numbers, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.told = nn.ModuleList(nn.Linear(CONDITION, width) for _ in range(depth))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, numbers)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, time: Tensor, parts: Tensor) -> Tensor:
        """`(N, d)` → `(N, d)`."""
        c = self.condition(time, parts)
        h = self.first(x)
        for norm, inner, condition_layer, outer in zip(
            self.norms, self.inner, self.told, self.outer, strict=True
        ):
            h = h + outer(F.silu(inner(norm(h)) + condition_layer(c)))
        result: Tensor = self.last(F.silu(self.norm(h)))
        return result


class GridVelocity(nn.Module):
    """Residual convolutions at full and at half resolution; the last layer starts at zero."""

    def __init__(self, channels: int, parts: int, width: int, depth: int) -> None:
        super().__init__()
        self.condition = Condition(parts)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.before = nn.ModuleList(_Block(width) for _ in range(depth))
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.low = nn.ModuleList(_Block(2 * width) for _ in range(depth))
        self.up = nn.Conv2d(2 * width, width, 1)
        self.after = nn.ModuleList(_Block(width) for _ in range(depth))
        self.last = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, time: Tensor, parts: Tensor) -> Tensor:
        """`(N, C, h, w)` → the same shape, any h and w."""
        c = self.condition(time, parts)
        h = self.first(x)
        for block in self.before:
            h = block(h, c)
        low = self.down(h)
        for block in self.low:
            low = block(low, c)
        h = h + F.interpolate(self.up(low), h.shape[-2:], mode="nearest")
        for block in self.after:
            h = block(h, c)
        result: Tensor = self.last(F.silu(h))
        return result


class _Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.inner = nn.Conv2d(width, width, 3, padding=1)
        self.told = nn.Linear(CONDITION, width)
        self.outer = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        inner = self.inner(F.silu(self.norm(h))) + self.told(c)[:, :, None, None]
        result: Tensor = h + self.outer(F.silu(inner))
        return result


def build_velocity(
    shape: tuple[int, ...], parts: int, width: int, depth: int
) -> VectorVelocity | GridVelocity:
    """The network for codes of this shape."""
    if len(shape) == 1:
        return VectorVelocity(shape[0], parts, width, depth)
    return GridVelocity(shape[0], parts, width, depth)
