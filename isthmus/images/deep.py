"""Images that Pillow would refuse, narrow or misread: opened, not decoded yet, with the meaning of their
samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from isthmus.images.modes import Alpha, composite
from isthmus.images.sample_range import UNIT, Range, UnreadablePixelsError, range_hint, to_samples
from isthmus.images.store import Pixels

MAX_WHOLE = 65535  # wider integers are read where all lie below


@dataclass(frozen=True)
class DeepImage:
    """A picture of any sample type and number of channels.

    Attributes:
        height, width: as it is stored, before it is turned upright.
        channels: of the picture, with alpha.
        dtype: of its samples, in the machine's byte order.
        format: of the file.
        load: reads its samples, (H, W, channels), alpha last and straight.
        alpha: the last channel is alpha.
        bits: of a sample, where they are fewer than those of the type.
        white_is_zero: the sample 0 stands for white.
        orientation: EXIF's number of the corner where it begins.
        several: the file holds further pictures.
        paged: pages of the file are its channels.
        narrowed: bits of the file are left out.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    format: str
    load: Callable[[], Pixels]
    alpha: bool = False
    bits: int | None = None
    white_is_zero: bool = False
    orientation: int = 1
    several: bool = False
    paged: bool = False
    narrowed: bool = False

    def __enter__(self) -> DeepImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @property
    def colours(self) -> int:
        """Channels without alpha."""
        return self.channels - self.alpha

    @property
    def sample_type(self) -> np.dtype[Any]:
        """The type that `read` gives without a range."""
        if self.dtype.kind == "f":
            return np.dtype(np.float32)
        return np.dtype(np.uint8 if self.dtype.itemsize == 1 else np.uint16)

    def read(self, alpha: Alpha, value_range: Range | None = None, *, bounds: Range = UNIT) -> Pixels:
        """(H, W, C): uint8, uint16, or float32 within the bounds; all samples scaled to their type's range.

        Raises:
            UnreadablePixelsError: samples outside of the range.
        """
        samples, split = self.load(), self.colours
        colour, opacity = samples[..., :split], samples[..., split:]
        if value_range is None or self.dtype.itemsize == 1:
            colour = _fill_type(colour, self.bits)
        if self.white_is_zero:
            colour = _invert(colour, value_range)
        colour = to_samples(_narrow(colour, value_range), value_range, bounds=bounds)
        if not self.alpha:
            return np.ascontiguousarray(colour)
        opacity = _as_share(_fill_type(opacity, self.bits), colour.dtype)
        with_opacity = np.concatenate([colour, opacity], axis=2)
        return composite(with_opacity) if alpha == "composite" else with_opacity

    def read_raw(self) -> Pixels:
        """(H, W, C) samples as they are stored, wherever they lie, for a range that is applied later.

        Raises:
            UnreadablePixelsError: floats of which zero is white.
        """
        samples, split = self.load(), self.colours
        few = self.bits
        if self.dtype.itemsize == 1:
            samples, few = _fill_type(samples, few), None
        if not self.white_is_zero:
            return samples
        if samples.dtype.kind == "f":
            raise UnreadablePixelsError(
                "floats of which zero is white have no range", id="pixels.white-is-zero-range"
            )
        colour = samples[..., :split]
        colour = colour.dtype.type(2**few - 1) - colour if few is not None else _invert(colour, None)
        return np.concatenate([colour, samples[..., split:]], axis=2)


def scale_levels(samples: Pixels, most: int) -> Pixels:
    """Unsigned samples of which `most` is white, scaled to all bits of their type."""
    top = int(np.iinfo(samples.dtype).max)
    if most == top:
        return samples
    scaled: Pixels = (samples.astype(np.uint64) * np.uint64(top) + np.uint64(most // 2)) // np.uint64(most)
    levels: Pixels = scaled.clip(0, top).astype(samples.dtype)
    return levels


def straighten_alpha(samples: Pixels) -> Pixels:
    """Samples that were multiplied by their alpha, the last channel, divided by it again.

    Colour that is brighter than its alpha allows becomes white. Of floats white is 1, unless some are above.
    """
    alpha = samples[..., -1:]
    colour = samples[..., :-1]
    if samples.dtype.kind == "f":
        white = 1.0 if colour.size and colour.max() <= 1 else float(np.finfo(samples.dtype).max)
        with np.errstate(divide="ignore", invalid="ignore"):
            straight = np.where(alpha > 0, np.minimum(colour.astype(np.float64) / alpha, white), 0)
        return np.concatenate([straight.astype(samples.dtype), alpha], axis=2)
    top = int(np.iinfo(samples.dtype).max)
    wide = np.int64 if samples.dtype.kind == "i" else np.uint64
    levels = colour.astype(wide) * wide(top) // np.maximum(alpha, 1).astype(wide)
    hidden = colour if colour.shape[2] == 1 else 0  # invisible pixels as Pillow has them
    lowest = int(np.iinfo(samples.dtype).min)
    straight = np.where(alpha <= 0, hidden, levels.clip(lowest, top)).astype(samples.dtype)
    return np.concatenate([straight, alpha], axis=2)


def _fill_type(samples: Pixels, bits: int | None) -> Pixels:
    """Samples of `bits` bits scaled to all bits of their type: 4095 of 12 bits becomes 65535."""
    if samples.dtype.kind == "b":
        return samples.astype(np.uint8) * np.uint8(255)
    if bits is None or samples.dtype.kind != "u" or bits >= 8 * samples.dtype.itemsize:
        return samples
    return scale_levels(samples, 2**bits - 1)


def _invert(samples: Pixels, value_range: Range | None) -> Pixels:
    if value_range is not None:
        inverted: Pixels = sum(value_range) - samples.astype(np.float64)
        return inverted
    turned: Pixels = 1 - samples if samples.dtype.kind == "f" else ~samples
    return turned


def _narrow(samples: Pixels, value_range: Range | None) -> Pixels:
    """Integers of other types as uint8 or uint16, where they are the same numbers there."""
    if value_range is not None or samples.dtype.kind not in "iu" or samples.dtype in (np.uint8, np.uint16):
        return samples
    low, high = int(samples.min()), int(samples.max())
    if low < 0 or high > MAX_WHOLE:
        raise UnreadablePixelsError(
            "{dtype} samples must lie in 0..65535, these in [{low}, {high}]",
            range_hint(low, high, is_integer=True),
            id="pixels.integer-range",
            dtype=samples.dtype,
            low=low,
            high=high,
        )
    same: Pixels = samples.astype(np.uint8 if samples.dtype.itemsize == 1 else np.uint16)
    return same


def _as_share(opacity: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Alpha in the sample type of the colours."""
    if opacity.dtype == dtype:
        return opacity
    top = 1.0 if opacity.dtype.kind == "f" else float(np.iinfo(opacity.dtype).max)
    share = (opacity.astype(np.float64) / top).clip(0, 1)
    if dtype.kind == "f":
        return np.asarray(share, dtype=dtype)
    return np.asarray(np.rint(share * np.iinfo(dtype).max), dtype=dtype)
