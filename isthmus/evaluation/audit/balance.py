"""How many images each class has, in both splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.images.store import ImageSet
from isthmus.wording import format_count

MAX_CLASS_RATIO = 3.0  # the largest class against the smallest
MIN_CLASS_IMAGES = 10
MAX_SHARE_DRIFT = 1.5  # a class's share in one split against the other


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


def measure_balance(images: ImageSet, against: ImageSet | None = None) -> Balance | None:
    """None for images without labels."""
    if images.labels is None:
        return None
    counts = _count_classes(images)
    other = _count_classes(against) if against is not None and against.labels is not None else None
    sizes = np.array([count for count in counts.values() if count], dtype=np.float64)
    shares = sizes / sizes.sum()
    ratio = float(sizes.max() / sizes.min())
    remarks = []
    if ratio > MAX_CLASS_RATIO:
        remarks.append(
            f"the largest class has {ratio:.1f} times the images of the smallest (training can balance them)"
        )
    remarks += [
        f"class '{name}' has {format_count(count, 'image')}"
        for name, count in counts.items()
        if count < MIN_CLASS_IMAGES
    ]
    if other is not None:
        remarks += _describe_drift(counts, other)
    return Balance(counts, other, ratio, float(np.exp(-(shares * np.log(shares)).sum())), tuple(remarks))


def _count_classes(images: ImageSet) -> dict[str, int]:
    assert images.labels is not None
    names = images.classes or tuple(map(str, range(int(images.labels.max()) + 1)))
    numbers = np.bincount(images.labels, minlength=len(names))
    return {name: int(number) for name, number in zip(names, numbers, strict=False)}


def _describe_drift(counts: dict[str, int], other: dict[str, int]) -> list[str]:
    remarks = []
    total, total_other = sum(counts.values()), sum(other.values())
    for name in sorted(counts.keys() | other.keys()):
        here, there = counts.get(name, 0), other.get(name, 0)
        if bool(here) != bool(there):
            remarks.append(f"class '{name}' is in one of the two sets only")
        elif min(here, there) >= MIN_CLASS_IMAGES:
            drift = (here / total) / (there / total_other)
            if max(drift, 1 / drift) > MAX_SHARE_DRIFT:
                remarks.append(
                    f"class '{name}' has {here / total:.1%} here and {there / total_other:.1%} there"
                )
    return remarks
