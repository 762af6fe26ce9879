"""Defects of known size and contrast, planted into normal pictures to measure what a detector finds.

None of these kinds is one that the recipe `defects` trains on (blobs, scratches, thin cracks, cut-and-paste,
texture, brightness, blur): a detector must not be measured on the defects that it learned.

- `ring`: a line in the shape of a circle.
- `specks`: a group of small dots.
- `chip`: a flat polygon with straight edges, as of a part that is missing.
- `checker`: a patch of alternating squares, as of a wrong pattern.
- `ramp`: a gradient of brightness, strongest at one side; the only kind for large areas.

Detection power: how many planted defects of each size a detector finds at its false-alarm rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from isthmus.features.pictures import Picture, to_unit
from isthmus.features.power_rows import PowerRow
from isthmus.images.store import Pixels

PlantedKind = Literal["ring", "specks", "chip", "checker", "ramp"]
CONTRAST = 0.3  # of the range from black to white
SIZES_PX = (4, 8, 12, 24)
LARGE_SHARE = 0.5  # of the shorter side, of a large defect
MAX_BRIGHT = 0.5  # a defect is dark where the picture is brighter than this, else bright


def plant_defect(
    pixels: Pixels, size_px: int, *, seed: int, contrast: float = CONTRAST, kind: PlantedKind | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """A copy of a picture with one defect, and where it is.

    Args:
        pixels: `(H, W, C)` uint8, uint16 or float32 in [0, 1].
        size_px: diameter of the defect in pixels; cut to the picture's shorter side.
        seed: decides kind, place and shape.
        contrast: by which brightness changes most, of the range from black to white. A defect is darker than
            a bright place and brighter than a dark one.
        kind: of the defect; by default one by the seed, `ramp` for those over half of the shorter side.

    Returns:
        `(H, W, C)` float32 in [0, 1], and `(H, W)` bool.

    Examples:
        >>> import numpy as np
        >>> image, mask = plant_defect(np.full((40, 40, 1), 0.5, np.float32), 12, seed=0)
        >>> bool(((image != 0.5).any(2) <= mask).all())
        True
    """
    random = np.random.default_rng(seed)
    height, width = pixels.shape[:2]
    side = max(1, min(size_px, height, width))
    top, left = (int(random.integers(0, room - side + 1)) for room in (height, width))
    small: list[PlantedKind] = ["ring", "specks", "chip", "checker"]
    chosen = kind or ("ramp" if side >= LARGE_SHARE * min(height, width) else small[seed % len(small)])
    strength = _SHAPES[chosen](side, random)
    result = np.array(to_unit(pixels), dtype=np.float32)
    part = result[top : top + side, left : left + side]
    sign = -1 if float(part.mean()) > MAX_BRIGHT else 1
    part += np.float32(sign * contrast) * strength[..., None]
    np.clip(part, 0, 1, out=part)
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + side, left : left + side] = strength > 0
    return result, mask


def _grid(side: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Rows and columns from −1 to 1."""
    line = (np.arange(side) + 0.5) / side * 2 - 1
    return line[:, None], line[None, :]


def _draw_ring(side: int, _random: np.random.Generator) -> npt.NDArray[np.float32]:
    y, x = _grid(side)
    line = max(0.3, 3.0 / side)  # about one and a half pixels
    away = np.abs(np.hypot(y, x) - (1 - line))
    return np.asarray(np.clip(1.5 * (1 - away / line), 0, 1), dtype=np.float32)


def _draw_specks(side: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    y, x = _grid(side)
    drawn = np.zeros((side, side))
    radius = max(0.16, 1.2 / side)
    for angle in random.uniform(0, 2 * np.pi) + np.arange(5) * 2 * np.pi / 5:
        centre = (0.7 * np.sin(angle), 0.7 * np.cos(angle))
        drawn = np.maximum(drawn, np.hypot(y - centre[0], x - centre[1]) < radius)
    return np.asarray(np.maximum(drawn, np.hypot(y, x) < radius), dtype=np.float32)


def _draw_chip(side: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    y, x = _grid(side)
    inside = np.ones((side, side), dtype=bool)
    for angle in random.uniform(0, 2 * np.pi) + np.arange(3) * 2 * np.pi / 3 + random.uniform(-0.3, 0.3, 3):
        inside &= y * np.sin(angle) + x * np.cos(angle) < 0.55
    return inside.astype(np.float32)


def _draw_checker(side: int, _random: np.random.Generator) -> npt.NDArray[np.float32]:
    cell = max(1, side // 6)
    rows = np.arange(side) // cell
    return ((rows[:, None] + rows[None, :]) % 2).astype(np.float32)


def _draw_ramp(side: int, random: np.random.Generator) -> npt.NDArray[np.float32]:
    y, x = _grid(side)
    angle = random.uniform(0, 2 * np.pi)
    along = (y * np.sin(angle) + x * np.cos(angle)) / np.sqrt(2)
    return np.asarray(((along + 1) / 2).clip(0.02, 1), dtype=np.float32)


_SHAPES = {
    "ring": _draw_ring,
    "specks": _draw_specks,
    "chip": _draw_chip,
    "checker": _draw_checker,
    "ramp": _draw_ramp,
}


MAX_PLANTED_PICTURES = 40


class PlantedPictures(Sequence[Picture]):
    """The same pictures, each with a planted defect, made when they are indexed.

    Args:
        size_px: of the defects; None for half of the shorter side.
        seeds: of each picture's defect.
    """

    def __init__(
        self, pictures: Sequence[Picture], size_px: int | None, *, seeds: npt.NDArray[np.int64]
    ) -> None:
        self._pictures, self._size_px, self._seeds = pictures, size_px, seeds

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        picture: Picture = self._pictures[index]
        side = self._size_px or round(LARGE_SHARE * min(picture.pixels.shape[:2]))
        planted, _ = plant_defect(picture.pixels, side, seed=int(self._seeds[index]))
        return Picture(planted, picture.ignored)


def planted_sizes(pictures: Sequence[Picture]) -> list[int | None]:
    """Sizes that fit these pictures: those below a quarter of the shorter side, and the large ones."""
    shortest = min(min(pictures[i].pixels.shape[:2]) for i in range(min(len(pictures), MAX_PLANTED_PICTURES)))
    return [*(size for size in SIZES_PX if 4 * size <= shortest), None]


def measure_row(
    size_px: int | None,
    clean: npt.NDArray[np.float64],
    planted: npt.NDArray[np.float64],
    threshold: float,
) -> PowerRow:
    """How well planted defects of one size are found, by the scores of pictures with and without them."""
    share = float((planted > threshold).mean())
    return PowerRow(size_px, CONTRAST, len(planted), round(share, 4), round(measure_auroc(clean, planted), 4))


def measure_auroc(normal: npt.NDArray[Any], unusual: npt.NDArray[Any]) -> float:
    """Share of pairs of a normal and an unusual score that are in order; equal ones count half."""
    all_scores = np.concatenate([normal, unusual])
    ordered = np.sort(all_scores)
    ranks = (
        np.searchsorted(ordered, all_scores, "left") + np.searchsorted(ordered, all_scores, "right") + 1
    ) / 2
    count = len(unusual)
    return float((ranks[len(normal) :].sum() - count * (count + 1) / 2) / (count * len(normal)))
