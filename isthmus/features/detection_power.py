"""Detection power: how many planted defects of each size a detector finds at its false-alarm rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.features.picture_scores import Picture
from isthmus.features.planted_defects import CONTRAST, LARGE_SHARE, SIZES_PX, plant_defect
from isthmus.features.power_rows import PowerRow

MAX_PLANTED_PICTURES = 40


class PlantedPictures(Sequence[Picture]):
    """The same pictures, each with a planted defect, made when they are asked for.

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
    both = np.concatenate([normal, unusual])
    ordered = np.sort(both)
    ranks = (np.searchsorted(ordered, both, "left") + np.searchsorted(ordered, both, "right") + 1) / 2
    count = len(unusual)
    return float((ranks[len(normal) :].sum() - count * (count + 1) / 2) / (count * len(normal)))
