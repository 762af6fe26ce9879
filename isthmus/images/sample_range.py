"""Which sample values are images: 8 and 16 bits, floats in [0, 1], or what `range=(low, high)` maps to it.

Only this module decides. Other samples are refused, with the `range` that would map them as a hint. Samples
are clipped silently only within the tolerance.

`SampleScale` is the scale of an array of images, in which later images are read as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import Hint, UsageError
from isthmus.images.mapped import room
from isthmus.images.store import Pixels
from isthmus.messages import Message

Range = tuple[float, float]
UNIT: Range = (0.0, 1.0)
NOISY: Range = (-7.0, 8.0)  # what restoration takes: noise carries samples beyond [0, 1]
ANYWHERE: Range = (-math.inf, math.inf)  # for samples that are mapped later
KINDS = "uint8, uint16, bool, or floats in [0, 1]"
TOLERANCE = 1e-3  # of the range: rounding and resizing may exceed it by this much, which is clipped
NUMPY_FLOATS = (np.float16, np.float32, np.float64)
_AT_ONCE = 2**22  # samples that are mapped in one step
_FAMILIAR = ((0, 1), (-1, 1), (0, 255), (-128, 127), (0, 1023), (0, 4095), (0, 65535), (-32768, 32767))


class UnreadablePixelsError(ValueError):
    """The pixels have no faithful form as uint8, uint16 or float32 in [0, 1]; the text says why."""

    def __init__(
        self, template: str, /, hint: Hint | None = None, *, id: str = "pixels.problem", **fields: object
    ) -> None:
        self.message = Message(template, id=id, **fields)
        super().__init__(str(self.message))
        self.reason, self.hint = self.message, hint


def check_range(value_range: Range | None) -> Range | None:
    """The two numbers, as floats.

    Raises:
        UsageError: not two finite numbers in rising order.
    """
    if value_range is None:
        return None
    try:
        low, high = (float(bound) for bound in value_range)
    except (TypeError, ValueError):
        raise UsageError(
            "range must be (low, high), two numbers, not {given!r}",
            id="data.range-numbers",
            given=value_range,
        ) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(
            "range must be (low, high) with low below high, not ({low:g}, {high:g})",
            id="data.range-order",
            low=low,
            high=high,
        )
    return low, high


def to_samples(pixels: Pixels, value_range: Range | None = None, *, bounds: Range = UNIT) -> Pixels:
    """Any samples in the machine's byte order as they are kept: uint8, uint16, or float32.

    Args:
        pixels: of any shape; not written to, not copied where nothing changes.
        value_range: the samples that stand for black and white; what lies between is mapped to [0, 1].
        bounds: where floats may lie after that; UNIT, or NOISY for restoration.

    Returns:
        uint8 and uint16 as they are (bool as black and white of 8 bits), all else and all with `value_range`
        as float32 within the bounds.

    Raises:
        UnreadablePixelsError: another type, NaN, or samples outside; with the `range=` that may help.
        UsageError: an impossible range.
    """
    low_high = check_range(value_range)
    kind = pixels.dtype.kind
    if kind not in "biuf":
        raise UnreadablePixelsError(
            "samples are {dtype}; images must be {kinds}",
            id="pixels.sample-type",
            dtype=pixels.dtype,
            kinds=KINDS,
        )
    if low_high is None and kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    native = pixels.dtype.newbyteorder("=")
    if low_high is None and native in (np.uint8, np.uint16):
        return pixels if pixels.dtype == native else pixels.astype(native)
    if pixels.size == 0:
        return pixels.astype(np.float32)
    low, high = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnreadablePixelsError(_describe_non_finite(pixels))
    clips = check_span(low, high, str(native), low_high, bounds=bounds)
    if low_high is None and not clips:
        return pixels if pixels.dtype == np.float32 else pixels.astype(np.float32)
    result = room(pixels.shape, np.float32)
    black, white = low_high or UNIT
    step = max(1, _AT_ONCE * len(pixels) // pixels.size)  # a large map is never in memory as a whole
    for start in range(0, len(pixels), step):
        part = pixels[start : start + step].astype(np.float64)
        result[start : start + step] = ((part - black) / (white - black)).clip(*bounds)
    return result


def check_span(low: float, high: float, dtype: str, value_range: Range | None, *, bounds: Range) -> bool:
    """Whether some of the samples, which lie from `low` to `high`, are to be clipped.

    Raises:
        UnreadablePixelsError: integers that are neither uint8 nor uint16 without a range; NaN; outside.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UnreadablePixelsError(
            "samples hold {what}", id="pixels.not-finite", what=_name_non_finite(low, high)
        )
    if (
        value_range is None
        and "float" not in dtype
        and dtype not in ("bool", "uint8", "uint16", "longdouble")
    ):
        hint = range_hint(low, high, is_integer=True)
        raise UnreadablePixelsError(
            "samples are {dtype}; images must be {kinds}",
            hint,
            id="pixels.sample-type",
            dtype=dtype,
            kinds=KINDS,
        )
    black, white = value_range or UNIT
    least, most = (black + bound * (white - black) for bound in bounds)
    beyond = max(least - low, high - most)
    if beyond > TOLERANCE * (white - black):
        hint = range_hint(low, high, is_integer="float" not in dtype)
        if value_range is None:
            raise UnreadablePixelsError(
                "floats must lie in [{least:g}, {most:g}], these in [{low:g}, {high:g}]",
                hint,
                id="pixels.range",
                least=least,
                most=most,
                low=low,
                high=high,
            )
        raise UnreadablePixelsError(
            "with range=({black:g}, {white:g}) samples must lie in [{least:g}, {most:g}], these in ["
            "{low:g}, {high:g}]",
            hint,
            id="pixels.range-given",
            black=black,
            white=white,
            least=least,
            most=most,
            low=low,
            high=high,
        )
    return beyond > 0


def to_plain(array: npt.NDArray[Any], value_range: Range | None, bounds: Range) -> npt.NDArray[Any]:
    """As `to_samples`, but floats that are not mapped keep their type, in the machine's byte order."""
    if value_range is not None or array.dtype.kind != "f":
        return to_samples(array, value_range, bounds=bounds)
    native = array.dtype.newbyteorder("=")
    native = native if native in NUMPY_FLOATS else np.dtype(np.float64)
    clips = check_span(float(array.min()), float(array.max()), str(native), None, bounds=bounds)
    plain = array.astype(native, copy=False)
    return plain.clip(*bounds) if clips else plain


def range_hint(low: float, high: float, *, is_integer: bool) -> Hint:
    """The `range` that samples from `low` to `high`, whole numbers or floats, were probably meant in."""
    familiar = _FAMILIAR[2:] if is_integer else _FAMILIAR
    black, white = next(
        (candidate for candidate in familiar if candidate[0] <= low and high <= candidate[1]),
        (math.floor(low), math.ceil(high)),
    )
    return Hint.add(range=(black, white))


def _name_non_finite(low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return "NaN"
    return "infinity" if high == math.inf else "-infinity"


def _describe_non_finite(pixels: Pixels) -> str:
    """Which of NaN and the infinities occur, and in which of several images."""
    if pixels.ndim != 4 or len(pixels) == 1:
        return f"samples hold {_name_non_finite(float(pixels.min()), float(pixels.max()))}"
    row = next(row for row, image in enumerate(pixels) if not np.isfinite(image).all())
    name = _name_non_finite(float(pixels[row].min()), float(pixels[row].max()))
    return f"samples of image {row} hold {name}"


Array = npt.NDArray[Any]
MIN_OUTLIERS = 4  # samples: a hot pixel in each of four channels
OUTLIER_SHARE = 1e-4  # of all samples


@dataclass(frozen=True)
class SampleScale:
    """The samples that stand for black and white in images of one origin.

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
    def of(cls, images: Array, value_range: Range | None) -> SampleScale:
        """The scale of these images.

        Raises:
            UsageError: `value_range` is not two numbers in rising order.
        """
        if (span := check_range(value_range)) is not None:
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
    """Smallest and largest sample without a few outliers, farther from the others than these span."""
    least, most = float(images.min()), float(images.max())
    count = min(max(MIN_OUTLIERS, math.ceil(images.size * OUTLIER_SHARE)), (images.size - 1) // 4)
    ordered = np.partition(images, (count, images.size - 1 - count), axis=None)
    low, high = float(ordered[count]), float(ordered[-1 - count])
    span = high - low
    if span == 0:
        return least, most
    return least if least >= low - span else low, most if most <= high + span else high
