"""Detection power: how many planted defects of each size a detector finds at its false-alarm rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.features.picture_scores import Picture
from isthmus.features.planted_defects import CONTRAST, LARGE_SHARE, SIZES_PX, plant_defect

MAX_PLANTED_PICTURES = 40
NEAR_CHANCE = 0.6  # AUROC of the easiest planted defects, below which a detector sees next to nothing


@dataclass(frozen=True)
class PowerRow:
    """How well planted defects of one size are found.

    Attributes:
        size_px: their diameter; null for those of half of the shorter side.
        contrast: by which they change brightness, of the range from black to white.
        planted: number of pictures that got one.
        found: share of them that is flagged.
        auroc: of these pictures against the same without a defect.
    """

    size_px: int | None
    contrast: float
    planted: int
    found: float
    auroc: float

    @property
    def title(self) -> str:
        return "large" if self.size_px is None else f"{self.size_px}-pixel"


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
    found = float((planted > threshold).mean())
    return PowerRow(size_px, CONTRAST, len(planted), round(found, 4), round(measure_auroc(clean, planted), 4))


def measure_auroc(normal: npt.NDArray[Any], unusual: npt.NDArray[Any]) -> float:
    """Share of pairs of a normal and an unusual score that are in order; equal ones count half."""
    both = np.concatenate([normal, unusual])
    ordered = np.sort(both)
    ranks = (np.searchsorted(ordered, both, "left") + np.searchsorted(ordered, both, "right") + 1) / 2
    count = len(unusual)
    return float((ranks[len(normal) :].sum() - count * (count + 1) / 2) / (count * len(normal)))


def describe_power(rows: Sequence[PowerRow], rate: float) -> str:
    """One sentence, such as "finds 92 % of 12-pixel defects at 1 false alarm in 100; 31 % at 4 pixels"."""
    if not rows:
        return ""
    small = [row for row in rows if row.size_px is not None]
    first = next((row for row in small if row.size_px == 12), small[-1] if small else rows[-1])
    one_in = max(1, round(1 / rate))
    text = f"finds {first.found:.0%} of {first.title} defects at 1 false alarm in {one_in}"
    others = []
    for row in rows:
        if row is not first:
            where = "of large ones" if row.size_px is None else f"at {row.size_px} pixels"
            others.append(f"{row.found:.0%} {where}")
    return "; ".join([text, *others]).replace("%", " %")


def is_near_chance(rows: Sequence[PowerRow]) -> bool:
    """Whether even the best found size is hardly told from clean pictures."""
    return bool(rows) and max(row.auroc for row in rows) < NEAR_CHANCE


def power_to_facts(rows: Sequence[PowerRow]) -> list[dict[str, Any]]:
    """As a model file holds it."""
    return [asdict(row) for row in rows]


def power_from_facts(facts: object) -> tuple[PowerRow, ...]:
    """The inverse; nothing for what is no such list."""
    try:
        assert isinstance(facts, list)
        return tuple(
            PowerRow(
                None if one["size_px"] is None else int(one["size_px"]),
                *(float(one["contrast"]), int(one["planted"]), float(one["found"]), float(one["auroc"])),
            )
            for one in facts
        )
    except (AssertionError, LookupError, TypeError, ValueError, OverflowError):
        return ()
