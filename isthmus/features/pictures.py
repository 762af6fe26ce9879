"""Pictures as scores take them: pixels, which of them count, how they look, and their tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from isthmus.images.store import ImageSet, Pixels

MAX_FLOAT_PIXELS = 2**24  # larger pictures are averaged down before they are resized as a whole
THUMBNAIL_SIDE_PX = 24
TILE_OVERLAP = 0.5


class Picture(NamedTuple):
    """One picture.

    Attributes:
        pixels: `(H, W, C)` uint8, uint16 or float32 in [0, 1].
        ignored: `(H, W)` bool, pixels that do not count; None where all do.
    """

    pixels: Pixels
    ignored: npt.NDArray[np.bool_] | None = None


class Pictures(Sequence[Picture]):
    """An image set, or some of its images, as pictures of which all pixels count."""

    def __init__(self, images: ImageSet) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        return Picture(self._images.image(int(index)))


def to_unit(pixels: Pixels) -> npt.NDArray[np.float32]:
    """`(H, W, C)` float32 in [0, 1]."""
    if pixels.dtype == np.float32:
        return pixels
    return np.divide(pixels, np.float32(np.iinfo(pixels.dtype).max), dtype=np.float32)


def shrink_pixels(pixels: Pixels, factor: int) -> npt.NDArray[np.float32]:
    """`(H, W, C)` → float32 in [0, 1], `factor` times smaller: means of blocks, the last one smaller."""
    if factor == 1:
        return to_unit(pixels)
    strips = []
    for top in range(0, len(pixels), factor):
        strip = to_unit(pixels[top : top + factor]).mean(0)
        width = strip.shape[0]
        whole_width = width // factor * factor
        blocks = strip[:whole_width].reshape(-1, factor, strip.shape[1]).mean(1)
        strips.append(
            np.concatenate([blocks, strip[whole_width:].mean(0)[None]]) if whole_width < width else blocks
        )
    return np.stack(strips).astype(np.float32)


@dataclass(frozen=True)
class PictureLook:
    """Measurements of one picture.

    Attributes:
        height, width: in pixels.
        brightness: mean, in [0, 1].
        sharpness: mean absolute difference of neighbouring pixels, in [0, 1].
        thumbnail: `(576,)` float32, mean 0.
    """

    height: int
    width: int
    brightness: float
    sharpness: float
    thumbnail: npt.NDArray[np.float32]


def measure_look(picture: Picture) -> PictureLook:
    """Measure one picture."""
    height, width = picture.pixels.shape[:2]
    factor = max(1, int(np.ceil((height * width / MAX_FLOAT_PIXELS) ** 0.5)))
    gray = shrink_pixels(picture.pixels, factor).mean(2)
    differences = [np.abs(np.diff(gray, axis=axis)) for axis in (0, 1)]
    sharpness = float(np.mean([difference.mean() for difference in differences if difference.size] or [0.0]))
    tensor = torch.from_numpy(np.ascontiguousarray(gray))[None, None]
    small = F.interpolate(tensor, (THUMBNAIL_SIDE_PX,) * 2, mode="area")[0, 0].numpy().ravel()
    return PictureLook(height, width, float(gray.mean()), sharpness, small - small.mean())


def mean_to(mask: npt.NDArray[np.bool_], size: tuple[int, ...]) -> npt.NDArray[np.float32]:
    tensor = torch.from_numpy(np.ascontiguousarray(mask, dtype=np.float32))[None, None]
    return np.asarray(F.interpolate(tensor, (size[0], size[1]), mode="area")[0, 0].numpy())


def count_tiles(shape: tuple[int, ...], shrink: int, size: tuple[int, int]) -> int:
    """How many tiles a picture is cut into."""
    smaller = tuple(max(1, -(-side // shrink)) for side in shape[:2])
    return len(tile_corners(smaller, size))


def tile_corners(shape: tuple[int, ...], size: tuple[int, int]) -> list[tuple[int, int]]:
    rows, columns = (
        _tile_starts(max(side, tile), tile, TILE_OVERLAP) for side, tile in zip(shape[:2], size, strict=True)
    )
    return [(top, left) for top in rows for left in columns]


def _tile_starts(length: int, piece: int, overlap: float) -> list[int]:
    """Where pieces of a side begin, so that the last one ends at its end."""
    step = max(1, round(piece * (1 - overlap)))
    return [*range(0, length - piece, step), length - piece]
