"""The scale of an array of images, which later ones are read in, too: what black and white stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.images.sample_range import TOLERANCE, UNIT, Range, check_range

Array = npt.NDArray[Any]
MIN_OUTLIERS = 4  # samples: a hot pixel in each of four channels
OUTLIER_SHARE = 1e-4  # of all samples


@dataclass(frozen=True)
class SampleScale:
    """What black and white stand for in images of one origin.

    Integers of 8 or 16 bits have their own scale, floats inside [0, 1] are taken as they are, others are
    scaled by their least and largest value. A few samples far beyond all others do not count.

    Attributes:
        low, high: the samples that stand for black and white.
        dtype: of the images.
        is_given: whether the scale was given, and not taken from the images.
    """

    low: float
    high: float
    dtype: np.dtype[Any]
    is_given: bool

    @classmethod
    def of(cls, images: Array, given: Range | None) -> SampleScale:
        """The scale of these images.

        Raises:
            UsageError: `given` is not two numbers in rising order.
        """
        if (span := check_range(given)) is not None:
            return cls(*span, images.dtype, is_given=True)
        if images.dtype in (np.uint8, np.uint16):
            return cls(0.0, float(np.iinfo(images.dtype).max), images.dtype, is_given=False)
        low, high = typical_span(images)
        if low >= 0 and high <= 1 and not np.issubdtype(images.dtype, np.integer):
            low, high = UNIT
        return cls(low, high if high > low else low + 1.0, images.dtype, is_given=False)

    @property
    def _is_of_type(self) -> bool:
        return not self.is_given and self.dtype in (np.uint8, np.uint16)

    def to_pixels(self, images: Array) -> Array:
        """Images as `train` takes them: integers of 8 or 16 bits as they are, others as floats in [0, 1].

        Raises:
            ValueError: they are on another scale.
        """
        if self._is_of_type and images.dtype == self.dtype:
            return images
        low, high = self.low, self.high
        has_own_scale = self.is_given or self._is_of_type
        slack = (TOLERANCE if has_own_scale or (low, high) == UNIT else 1.0) * (high - low)
        least, most = (float(images.min()), float(images.max())) if has_own_scale else typical_span(images)
        if least < low - slack or most > high + slack or self._is_unit_scale(images, least, most):
            raise ValueError(
                f"samples from {least:g} to {most:g} are on another scale than those of fit, where black and "
                f"white are {low:g} and {high:g}; range=(low, high) says what they stand for"
            )
        return np.asarray((images.astype(np.float64) - low) / (high - low), dtype=np.float32).clip(0, 1)

    def _is_unit_scale(self, images: Array, least: float, most: float) -> bool:
        """Whether these are floats in [0, 1] where 8 or 16 bits are expected, which would read as black."""
        if not self._is_of_type or images.dtype.kind != "f":
            return False
        return least >= 0 and most <= 1 and bool((images != np.rint(images)).any())

    def restore(self, pixels: Array) -> Array:
        """Pixels in [0, 1] as samples of this scale and type."""
        values = pixels.astype(np.float64) * (self.high - self.low) + self.low
        if np.issubdtype(self.dtype, np.integer):
            values = np.rint(values)
        return values.astype(self.dtype)

    def count_clipped(self, images: Array) -> int:
        """Number of samples that `to_pixels` clips."""
        return int(((images < self.low) | (images > self.high)).sum())


def typical_span(images: Array) -> tuple[float, float]:
    """Least and largest sample, but for a few that lie further beyond all others than these span."""
    least, most = float(images.min()), float(images.max())
    count = min(max(MIN_OUTLIERS, math.ceil(images.size * OUTLIER_SHARE)), (images.size - 1) // 4)
    ordered = np.partition(images, (count, images.size - 1 - count), axis=None)
    low, high = float(ordered[count]), float(ordered[-1 - count])
    span = high - low
    if span == 0:
        return least, most
    return least if least >= low - span else low, most if most <= high + span else high
