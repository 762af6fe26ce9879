"""The networks behind a flow: where noisy codes move to, given how far along they are and of which part.

A vector code gets a residual perceptron, a grid code a small U-Net without down-sampling beyond one halving,
so that it takes grids of any size. Grids of one size can have attention between all their positions instead.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model.backbones.denoiser import CONDITION, FREQUENCIES, HEAD_WIDTH, attend, encode_time


class Condition(nn.Module):
    """Time and part → a vector: sines of the time, one learned vector per part."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = nn.Embedding(parts, CONDITION)
        self.times = nn.Linear(2 * FREQUENCIES, CONDITION)
        nn.init.normal_(self.parts.weight, std=0.3)

    def forward(self, time: Tensor, parts: Tensor) -> Tensor:
        """`time (N,)` in [0, 1], `parts (N,)` → `(N, 128)`."""
        return F.silu(self.times(encode_time(time)) + self.parts(parts))


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


class TokenVelocity(nn.Module):
    """A transformer over the positions of a grid of one size (Peebles and Xie 2023, adaLN-Zero blocks).

    Time and part scale and shift every block; all blocks and the last layer start at zero.
    """

    def __init__(self, shape: tuple[int, ...], parts: int, width: int, depth: int) -> None:
        super().__init__()
        channels, height, columns = shape
        self.condition = Condition(parts)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.positions = nn.Parameter(torch.zeros(height * columns, width))
        nn.init.normal_(self.positions, std=0.3)
        self.blocks = nn.ModuleList(_TokenBlock(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, time: Tensor, parts: Tensor) -> Tensor:
        """`(N, C, h, w)` → the same shape."""
        c = self.condition(time, parts)
        h = self.first(x).flatten(2).transpose(1, 2) + self.positions
        for block in self.blocks:
            h = block(h, c)
        result: Tensor = self.last(self.norm(h)).transpose(1, 2).reshape(x.shape)
        return result


class _TokenBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // HEAD_WIDTH)
        self.modulation = nn.Linear(CONDITION, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.queries = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, width)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        first, scale, gate, second, spread, share = self.modulation(c)[:, None].chunk(6, 2)
        x = self.norms[0](h) * (1 + scale) + first
        h = h + gate * self.mixed(attend(self.queries(x), self.heads))
        x = self.norms[1](h) * (1 + spread) + second
        result: Tensor = h + share * self.outer(F.gelu(self.inner(x)))
        return result


Velocity = VectorVelocity | GridVelocity | TokenVelocity


def build_velocity(
    shape: tuple[int, ...], parts: int, width: int, depth: int, *, attends: bool = False
) -> Velocity:
    """The network for codes of this shape; `attends` to all positions of a grid of this size alone."""
    if len(shape) == 1:
        return VectorVelocity(shape[0], parts, width, depth)
    if attends:
        return TokenVelocity(shape, parts, width, depth)
    return GridVelocity(shape[0], parts, width, depth)
