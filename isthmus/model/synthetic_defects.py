"""Planted defects: what the encoder sees has them, the target has not, and a mask says where they are.

After Zavrtanik et al. 2021, "DRAEM", and Schlüter et al. 2022, "Natural synthetic anomalies": a defect is a
shape with soft edges (`isthmus.model.defect_shapes`) in which the image is replaced by something else. Images
are `(N, C, H, W)` float32 in [0, 1]; everything is drawn from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.model import axes, defect_shapes
from isthmus.model.defect_shapes import Random
from isthmus.model.trace import Corrupted

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
        shapes, contents = defect_shapes.LARGE, LARGE_CONTENTS
    else:
        extent = random.log_uniform(how.smallest, LARGEST * min(size))
        shapes, contents = defect_shapes.SMALL, CONTENTS
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
