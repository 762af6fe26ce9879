"""Faults of single images and of a whole set: constant, flat, clipped, odd channels, a wrong range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isthmus.images.conform import is_gray, to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.wording import format_count

MIN_RANGE = 4 / 255  # from the darkest to the brightest hundredth of the pixels

MIN_CLIPPED_SHARE = (
    0.25  # share of pixels at the end of the range where images of the set usually have far fewer
)

MAX_DEVIATIONS = 6.0  # times the median absolute deviation

MAX_PIXELS = 4096  # pixels looked at per image, evenly spaced


@dataclass(frozen=True)
class Fault:
    """Something wrong with one image.

    Attributes:
        index: which; kind: `constant`, `low contrast`, `clipped`, `odd brightness`, `odd contrast`
            or `empty channel`; detail: in a few words.
    """

    index: int
    kind: str
    detail: str


@dataclass(frozen=True)
class Traits:
    """Per image, on [0, 1]: mean, deviation, range between hundredths, shares at 0 and 1."""

    mean: np.ndarray
    deviation: np.ndarray
    spread: np.ndarray
    dark: np.ndarray
    bright: np.ndarray


def find_image_faults(images: ImageSet) -> tuple[Fault, ...]:
    """Faults in the order of the images; one image may have several."""
    traits, faults = _measure_traits(images)
    constant = {fault.index for fault in faults if fault.kind == "constant"}
    for index in np.flatnonzero(traits.spread < MIN_RANGE).tolist():
        if index not in constant:
            faults.append(Fault(index, "low contrast", f"99 % of it within {traits.spread[index]:.3f}"))
    for name, share in (("black", traits.dark), ("white", traits.bright)):
        # Ink on an empty ground is no fault: only what is far beyond the set's own habit is.
        usual = float(np.median(share))
        for index in np.flatnonzero((share > MIN_CLIPPED_SHARE) & (usual < 0.02)).tolist():
            if index not in constant:
                faults.append(Fault(index, "clipped", f"{share[index]:.0%} of its pixels are {name}"))
    for kind, values in (("odd brightness", traits.mean), ("odd contrast", traits.deviation)):
        for index, far in _find_outliers(values):
            if index not in constant:
                faults.append(Fault(index, kind, f"{far:.0f} deviations from the median of the set"))
    return tuple(sorted(faults, key=lambda fault: (fault.index, fault.kind)))


def find_set_faults(images: ImageSet) -> tuple[str, ...]:
    """Faults of the set as a whole, one sentence each."""
    faults = []
    step = max(1, len(images) // 1000)
    some = [images.image(index) for index in range(0, len(images), step)]
    low, high = min(float(i.min()) for i in some), max(float(i.max()) for i in some)
    if images.dtype != np.float32:
        top = int(np.iinfo(images.dtype).max)
        if high <= top / 16:
            faults.append(f"no value is above {high:.0f} of {top}: scale the images before training")
        levels = np.unique(np.concatenate([np.unique(image) for image in some]))
        if 2 < len(levels) <= 16:
            faults.append(f"only {len(levels)} different values occur")
    elif low < 0 or high > 1:
        faults.append(f"values run from {low:.3g} to {high:.3g}: floats are expected in [0, 1]")
    if all(is_gray(image) for image in some):
        faults.append("all three channels are equal: gray images stored as colour")
    if images.shape is None:
        shapes = np.array([images.image(index).shape[:2] for index in range(len(images))])
        least, most = shapes.min(0), shapes.max(0)
        faults.append(f"sizes are mixed, {least[0]}×{least[1]} to {most[0]}×{most[1]}")
    return tuple(faults)


def _measure_traits(images: ImageSet) -> tuple[Traits, list[Fault]]:
    rows, faults = [], []
    for index in range(len(images)):
        image = images.image(index)
        values = _sample_pixels(image)
        low, high = np.quantile(values, (0.005, 0.995))
        rows.append((values.mean(), values.std(), high - low, (values <= 0).mean(), (values >= 1).mean()))
        if image.min() == image.max():
            faults.append(Fault(index, "constant", f"every sample is {values.flat[0]:.3g}"))
        elif image.shape[2] == 3:
            empty = [
                name
                for c, name in enumerate(("red", "green", "blue"))
                if image[..., c].min() == image[..., c].max()
            ]
            faults += [Fault(index, "empty channel", f"{name} is constant") for name in empty]
    return Traits(*(np.array(column) for column in zip(*rows, strict=True))), faults


def _sample_pixels(image: Pixels) -> Pixels:
    flat = image.reshape(-1, image.shape[2])
    return to_dtype(flat[:: max(1, len(flat) // MAX_PIXELS)], np.float32)


def _find_outliers(values: np.ndarray) -> list[tuple[int, float]]:
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))  # of a normal distribution: its deviation
    if spread < 1e-6:
        return []
    away = np.abs(values - middle) / spread
    return [(int(index), float(away[index])) for index in np.flatnonzero(away > MAX_DEVIATIONS)]


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
        count, other_count = counts.get(name, 0), other.get(name, 0)
        if bool(count) != bool(other_count):
            remarks.append(f"class '{name}' is in one of the two sets only")
        elif min(count, other_count) >= MIN_CLASS_IMAGES:
            drift = (count / total) / (other_count / total_other)
            if max(drift, 1 / drift) > MAX_SHARE_DRIFT:
                remarks.append(
                    f"class '{name}' has {count / total:.1%} here and {other_count / total_other:.1%} there"
                )
    return remarks
