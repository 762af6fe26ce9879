"""Planted defects: the encoder's input has them, the target has none, and a mask marks them.

After Zavrtanik et al. 2021, "DRAEM", and Schlüter et al. 2022, "Natural synthetic anomalies": a defect is a
shape with soft edges in which the image is replaced by something else. Images are `(N, C, H, W)` float32 in
[0, 1]; everything is drawn from the generator that is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.model import axes
from isthmus.model.trace import Corrupted

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


LARGEST = 0.35  # of the shorter side: a defect that is no large one
VISIBLE_SHARE = 0.5  # of the least contrast: pixels that were changed by less are no part of the defect
VISIBLE_SIDE_PX = 5


def plant_defects(images: Tensor, how: axes.SyntheticDefects, generator: torch.Generator) -> Corrupted:
    """Images with and without defects, and `mask (N, 1, H, W)`: 1 where there is one."""
    random = Random(generator)
    planted = [_plant_in_image(images, index, how, random) for index in range(len(images))]
    inputs = torch.stack([image for image, _ in planted])
    return Corrupted(inputs, images, mask=torch.stack([mask for _, mask in planted]))


def _plant_in_image(
    images: Tensor, index: int, how: axes.SyntheticDefects, random: Random
) -> tuple[Tensor, Tensor]:
    image = images[index]
    mask = torch.zeros_like(image[:1])
    if random.chance(how.clean):
        return image, mask
    for _ in range(1 + random.below(how.count)):
        image, part = _plant_one(image, images, index, how, random)
        mask = torch.maximum(mask, part)
    return image, mask


def _plant_one(
    image: Tensor, images: Tensor, index: int, how: axes.SyntheticDefects, random: Random
) -> tuple[Tensor, Tensor]:
    size = (image.shape[-2], image.shape[-1])
    is_large = random.chance(how.large)
    if is_large:
        extent = random.uniform(0.2, 1.0) * max(size)
        shapes, contents = LARGE, LARGE_CONTENTS
    else:
        extent = random.log_uniform(how.smallest, LARGEST * min(size))
        shapes, contents = SMALL, CONTENTS
    alpha = shapes[random.below(len(shapes))](size, extent, random)
    content = contents[random.below(len(contents))](
        Source(image, images, index, how.contrast, extent), random
    )
    changed = (image + alpha * (content - image)).clamp(0, 1)
    # Pasting a part into its like changes nothing, and marking it would teach that nothing is a defect.
    difference = F.avg_pool2d(
        (changed - image).abs().amax(0, keepdim=True), 3, stride=1, padding=1, count_include_pad=False
    )
    visible = (difference > VISIBLE_SHARE * how.contrast).float()
    near = F.max_pool2d(visible, VISIBLE_SIDE_PX, stride=1, padding=VISIBLE_SIDE_PX // 2)
    part = near * (alpha > 0.5)
    return (changed, part) if bool(part.any()) else (image, part)


class Source:
    """What a content is made from.

    Attributes:
        image: `(C, H, W)`; images: the batch `(N, C, H, W)`, of which it is number `index`.
        contrast: least change of brightness; extent: size of the defect in pixels.
    """

    def __init__(self, image: Tensor, images: Tensor, index: int, contrast: float, extent: float) -> None:
        self.image, self.images, self.index = image, images, index
        self.contrast, self.extent = contrast, extent

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[-2], self.image.shape[-1]


def change_level(source: Source, random: Random) -> Tensor:
    """Darker or brighter by the same everywhere, of colour images in some channels more than in others."""
    change = random.sign() * random.log_uniform(2 * source.contrast, 0.7)
    return source.image + change * _per_channel(source.image, random)


def darken(source: Source, random: Random) -> Tensor:
    return source.image - random.log_uniform(2 * source.contrast, 0.7)


def change_gain(source: Source, random: Random) -> Tensor:
    """A factor on brightness: shadows, parts that shine less or more."""
    gain = random.uniform(0.1, 0.9) if random.chance(0.7) else random.uniform(1.1, 2.0)
    return source.image * gain


def fill_with_own_value(source: Source, random: Random) -> Tensor:
    """One value that some pixel of the image has, with a little noise."""
    row, column = random.below(source.size[0]), random.below(source.size[1])
    value = source.image[:, row : row + 1, column : column + 1]
    return value + random.uniform(0, 0.05) * random.field(source.size, 1.0)


def paste_from_same(source: Source, random: Random) -> Tensor:
    """Another part of the image, as it is or mirrored."""
    return _moved(source.image, source.extent, random)


def paste_from_other(source: Source, random: Random) -> Tensor:
    """A part of another image of the batch."""
    count = len(source.images)
    other = (source.index + 1 + random.below(max(1, count - 1))) % count
    return _moved(source.images[other], source.extent, random)


def paste_with_new_level(source: Source, random: Random) -> Tensor:
    """A part of an image of the batch, with other brightness and contrast."""
    moved = _moved(source.images[random.below(len(source.images))], source.extent, random)
    return moved * random.uniform(0.5, 1.5) + random.uniform(-0.3, 0.3)


def shift(source: Source, random: Random) -> Tensor:
    """The image moved by a few pixels."""
    least = max(2, round(source.extent / 4))
    offset = (int(random.sign()) * (1 + random.below(least)), int(random.sign()) * (1 + random.below(least)))
    return source.image.roll(offset, (1, 2))


def add_texture(source: Source, random: Random) -> Tensor:
    """Noise of one scale."""
    cell = random.log_uniform(1.0, max(2.0, source.extent / 2))
    amount = random.log_uniform(2 * source.contrast, 0.4)
    return source.image + amount * random.field(source.size, cell) * _per_channel(source.image, random)


def blur(source: Source, random: Random) -> Tensor:
    side = 3 + 2 * random.below(4)
    smooth = source.image[None]
    for _ in range(2):
        smooth = F.avg_pool2d(smooth, side, stride=1, padding=side // 2, count_include_pad=False)
    return smooth[0]


def grow(source: Source, random: Random) -> Tensor:
    """Bright parts grow, or dark ones."""
    side = 3 + 2 * random.below(5)
    sign = random.sign()
    return sign * F.max_pool2d(sign * source.image[None], side, stride=1, padding=side // 2)[0]


def invert(source: Source, random: Random) -> Tensor:
    """Bright for dark within the image's own range."""
    low, high = source.image.amin((1, 2), keepdim=True), source.image.amax((1, 2), keepdim=True)
    share = random.uniform(0.5, 1.0)
    return source.image + share * (low + high - 2 * source.image)


def _per_channel(image: Tensor, random: Random) -> Tensor | float:
    if image.shape[0] == 1 or random.chance(0.5):
        return 1.0
    return torch.rand((image.shape[0], 1, 1), generator=random.generator, device=image.device)


def _moved(image: Tensor, extent: float, random: Random) -> Tensor:
    height, width = image.shape[-2:]
    least = min(max(2, round(extent / 2)), max(1, min(height, width) // 2))
    offset = tuple(least + random.below(max(1, side - 2 * least)) for side in (height, width))
    moved = image.roll(offset, (1, 2))
    flips = [axis for axis in (1, 2) if random.chance(0.5)]
    return moved.flip(flips) if flips else moved


Content = Callable[[Source, Random], Tensor]
CONTENTS: tuple[Content, ...] = (
    change_level,
    darken,
    change_gain,
    fill_with_own_value,
    fill_with_own_value,
    paste_from_same,
    paste_from_other,
    paste_with_new_level,
    shift,
    add_texture,
    blur,
    grow,
    invert,
)
LARGE_CONTENTS: tuple[Content, ...] = (
    change_level,
    darken,
    change_gain,
    change_gain,
    paste_from_other,
    add_texture,
    blur,
)
