"""Where a planted defect is: maps `(H, W)` in [0, 1] with soft edges, drawn at random.

    shape = draw_shape(kind, (H, W), size, random)

`random` draws numbers from one generator, so that a step can be repeated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

HARD_SHARE = 0.4  # of edges without a transition
SOFTEST = 0.25  # of a defect's size: the widest transition
THINNEST_PX, THICKEST_PX = 0.8, 5.0  # of scratches and cracks
SEGMENTS = 10  # of a crack


@dataclass(frozen=True)
class Random:
    """Single random numbers from one generator."""

    generator: torch.Generator

    @property
    def device(self) -> torch.device:
        return self.generator.device

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        value = torch.rand((), generator=self.generator, device=self.device)
        return low + (high - low) * float(value)

    def log_uniform(self, low: float, high: float) -> float:
        return low * math.exp(self.uniform() * math.log(max(high, low) / low))

    def below(self, count: int) -> int:
        """A whole number from 0 to `count` − 1."""
        return int(torch.randint(count, (), generator=self.generator, device=self.device))

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def sign(self) -> float:
        return 1.0 if self.chance(0.5) else -1.0

    def field(self, size: tuple[int, int], cell: float, channels: int = 1) -> Tensor:
        """Smooth noise `(channels, H, W)` of deviation near 1, whose details have about `cell` pixels."""
        rows, columns = (max(2, math.ceil(side / max(cell, 1.0)) + 1) for side in size)
        coarse = torch.randn((1, channels, rows, columns), generator=self.generator, device=self.device)
        return F.interpolate(coarse, size, mode="bicubic", align_corners=False)[0]


Size = tuple[int, int]


def _plane(size: Size, device: torch.device) -> tuple[Tensor, Tensor]:
    rows = torch.arange(size[0], device=device, dtype=torch.float32).view(-1, 1)
    columns = torch.arange(size[1], device=device, dtype=torch.float32).view(1, -1)
    return rows, columns


def _edge(distance: Tensor, extent: float, random: Random) -> Tensor:
    """Signed distance in pixels, positive inside → a map with an edge as soft as chance wants it."""
    if random.chance(HARD_SHARE):
        return (distance > 0).float()
    width = random.log_uniform(0.3, max(0.6, SOFTEST * extent))
    return torch.sigmoid(distance / width)


def blob(size: Size, extent: float, random: Random) -> Tensor:
    """An ellipse with an uneven border."""
    u, v, a, b = _turned(size, extent, random)
    radius = ((u / a).square() + (v / b).square() + 1e-6).sqrt()
    uneven = random.uniform(0.0, 0.35) * random.field(size, max(2.0, extent / 3))[0]
    return _edge((1 - radius + uneven) * min(a, b), extent, random)


def rectangle(size: Size, extent: float, random: Random) -> Tensor:
    """A turned rectangle."""
    u, v, a, b = _turned(size, extent, random)
    return _edge(torch.minimum(a - u.abs(), b - v.abs()), extent, random)


def _turned(size: Size, extent: float, random: Random) -> tuple[Tensor, Tensor, float, float]:
    rows, columns = _plane(size, random.device)
    y, x = rows - random.uniform(0, size[0]), columns - random.uniform(0, size[1])
    angle = random.uniform(0, math.pi)
    a, b = extent / 2, max(1.0, extent / 2 * random.uniform(0.3, 1.0))
    return x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle), a, b


def scratch(size: Size, extent: float, random: Random) -> Tensor:
    """A thin, nearly straight line."""
    return _line(size, extent, random, segments=2, bend=0.15)


def crack(size: Size, extent: float, random: Random) -> Tensor:
    """A thin line with many corners."""
    return _line(size, extent, random, segments=SEGMENTS, bend=0.7)


def _line(size: Size, extent: float, random: Random, *, segments: int, bend: float) -> Tensor:
    rows, columns = _plane(size, random.device)
    length = min(4 * extent, 1.5 * max(size))
    y, x, angle = random.uniform(0, size[0]), random.uniform(0, size[1]), random.uniform(0, 2 * math.pi)
    nearest = torch.full(size, math.inf, device=random.device)
    for _ in range(segments):
        angle += bend * random.uniform(-1.5, 1.5)
        dy, dx = math.sin(angle) * length / segments, math.cos(angle) * length / segments
        along = ((rows - y) * dy + (columns - x) * dx) / max(dy * dy + dx * dx, 1e-6)
        along = along.clamp(0, 1)
        away = (rows - y - along * dy).square() + (columns - x - along * dx).square()
        nearest = torch.minimum(nearest, away)
        y, x = y + dy, x + dx
    half = random.log_uniform(THINNEST_PX, THICKEST_PX) / 2
    soft = 0.15 if random.chance(HARD_SHARE) else random.uniform(0.2, 0.8)
    return torch.sigmoid((half - nearest.sqrt()) / soft)


def patches(size: Size, extent: float, random: Random) -> Tensor:
    """Several large patches without a form of their own."""
    noise = random.field(size, max(8.0, extent))[0]
    return _edge((noise - random.uniform(0.0, 1.0)) * extent / 2, extent, random)


def half(size: Size, extent: float, random: Random) -> Tensor:
    """One side of a straight or wavy border, or the band between two of them."""
    rows, columns = _plane(size, random.device)
    # Parts of products lie along the borders more often than across.
    angle = random.below(4) * math.pi / 2 if random.chance(0.6) else random.uniform(0, 2 * math.pi)
    depth = (rows - random.uniform(0, size[0])) * math.sin(angle)
    depth = depth + (columns - random.uniform(0, size[1])) * math.cos(angle)
    if random.chance(0.5):
        depth = depth + random.uniform(0, 0.1) * max(size) * random.field(size, max(size) / 4)[0]
    if random.chance(0.4):
        depth = extent / 2 - depth.abs()
    return _edge(depth, extent, random)


def everywhere(size: Size, extent: float, random: Random) -> Tensor:  # noqa: ARG001
    """The whole image."""
    return torch.ones(size, device=random.device)


SMALL: tuple[Callable[[Size, float, Random], Tensor], ...] = (blob, blob, rectangle, scratch, crack)
LARGE: tuple[Callable[[Size, float, Random], Tensor], ...] = (patches, half, half, everywhere)
