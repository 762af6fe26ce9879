"""Detection power as numbers, a sentence and facts of a model file. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

NEAR_CHANCE = 0.6  # AUROC of the easiest planted defects, below which a detector finds almost nothing


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


def describe_power(rows: Sequence[PowerRow], rate: float) -> str:
    """One sentence, such as "finds 92 % of 12-pixel defects at 1 false alarm in 100; 31 % at 4 pixels"."""
    if not rows:
        return ""
    small = [row for row in rows if row.size_px is not None]
    first = next((row for row in small if row.size_px == 12), small[-1] if small else rows[-1])
    one_in = max(1, round(1 / rate))
    text = f"finds {first.found:.0%} of {first.title} defects at 1 false alarm in {one_in}"
    other_texts = []
    for row in rows:
        if row is not first:
            where = "of large ones" if row.size_px is None else f"at {row.size_px} pixels"
            other_texts.append(f"{row.found:.0%} {where}")
    return "; ".join([text, *other_texts]).replace("%", " %")


def is_near_chance(rows: Sequence[PowerRow]) -> bool:
    """Whether even the best found size is hardly separated from clean pictures."""
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
                None if row["size_px"] is None else int(row["size_px"]),
                *(float(row["contrast"]), int(row["planted"]), float(row["found"]), float(row["auroc"])),
            )
            for row in facts
        )
    except (AssertionError, LookupError, TypeError, ValueError, OverflowError):
        return ()
