"""How many images each class has, in both splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.images.store import ImageSet
from isthmus.wording import format_count

UNEVEN = 3.0  # the largest class against the smallest
FEW = 10
DRIFT = 1.5  # a class's share in one split against the other


@dataclass(frozen=True)
class Balance:
    """Class sizes.

    Attributes:
        counts: class → images; against: the same of the second set, or None.
        ratio: largest against smallest class that has images; effective: classes an even set of the same
            entropy would have.
        remarks: what stands out, one sentence each.
    """

    counts: dict[str, int]
    against: dict[str, int] | None
    ratio: float
    effective: float
    remarks: tuple[str, ...]


def balance(images: ImageSet, against: ImageSet | None = None) -> Balance | None:
    """None for images without labels."""
    if images.labels is None:
        return None
    counts = _counts(images)
    other = _counts(against) if against is not None and against.labels is not None else None
    sizes = np.array([count for count in counts.values() if count], dtype=np.float64)
    shares = sizes / sizes.sum()
    ratio = float(sizes.max() / sizes.min())
    remarks = []
    if ratio > UNEVEN:
        remarks.append(
            f"the largest class has {ratio:.1f} times the images of the smallest (training can balance them)"
        )
    remarks += [
        f"class '{name}' has {format_count(count, 'image')}" for name, count in counts.items() if count < FEW
    ]
    if other is not None:
        remarks += _drift(counts, other)
    return Balance(counts, other, ratio, float(np.exp(-(shares * np.log(shares)).sum())), tuple(remarks))


def _counts(images: ImageSet) -> dict[str, int]:
    assert images.labels is not None
    names = images.classes or tuple(map(str, range(int(images.labels.max()) + 1)))
    numbers = np.bincount(images.labels, minlength=len(names))
    return {name: int(number) for name, number in zip(names, numbers, strict=False)}


def _drift(counts: dict[str, int], other: dict[str, int]) -> list[str]:
    found = []
    total, total_other = sum(counts.values()), sum(other.values())
    for name in sorted(counts.keys() | other.keys()):
        here, there = counts.get(name, 0), other.get(name, 0)
        if bool(here) != bool(there):
            found.append(f"class '{name}' is in one of the two sets only")
        elif min(here, there) >= FEW:
            drift = (here / total) / (there / total_other)
            if max(drift, 1 / drift) > DRIFT:
                found.append(
                    f"class '{name}' has {here / total:.1%} here and {there / total_other:.1%} there"
                )
    return found
