"""Symbols of one tile ↔ bytes. One walk serves both directions, so that they cannot disagree.

Channels go in their order, each in two halves of a checkerboard. A symbol's mean and scale are linear in what
is known: the channels before it in a 3×3 neighbourhood, and for the second half the channel's own four
neighbours (the two-pass checkerboard of He et al. 2021, "Checkerboard context model for efficient learned
image compression", with integer weights in place of their networks). How far the symbols of earlier channels
at a place lay from their means, against what their scales promised, then corrects the scale there. All sums
are of integers and stay far below 2⁵³, so that double precision is exact in whatever order a machine adds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Coder, Ints, Reader, Writer
from isthmus.codec.container import CompressedFileError
from isthmus.codec.tables import (
    CROSS,
    EASE,
    ENTRIES,
    FINE,
    FRACTIONS,
    LARGEST,
    MEAN_UNIT,
    RATIO_UNIT,
    REACH,
    TAPS,
    ZONES,
    Band,
    Integers,
)

TOGETHER = 8  # channels whose contexts from all earlier ones are one matrix product
_MEAN_BITS = MEAN_UNIT.bit_length() - 1
_MOST = LARGEST * MEAN_UNIT
_LARGEST_LENGTH = 17  # bits of the largest escape: residuals stay below 2¹⁷

Where = npt.NDArray[np.intp]
# Symbols of a channel at some places of a tile, flat, from their means (in 1/MEAN_UNIT) and bins.
Take = Callable[[int, Where, Integers, Where], Ints]


def encode(symbols: Ints, band: Band) -> bytes:
    """The bytes of `symbols` (C, h, w), int32, magnitudes at most `LARGEST`."""
    writer = Writer()
    given = np.ascontiguousarray(symbols, np.int32)

    def take(channel: int, where: Where, mean: Integers, bins: Where) -> Ints:
        return _code(writer, band, mean, bins, given[channel].reshape(-1)[where])

    walk(band, (given.shape[1], given.shape[2]), _loud(writer, band, given), take)
    return writer.bytes()


def decode(data: bytes | memoryview, size: tuple[int, int], band: Band) -> Ints:
    """Symbols (C, *size), int32, from what `encode` gave.

    Raises:
        CompressedFileError: the bytes were not made by `encode`, as far as that can be seen; checksums see
            the rest.
    """
    reader = Reader(data)

    def take(channel: int, where: Where, mean: Integers, bins: Where) -> Ints:  # noqa: ARG001
        return _code(reader, band, mean, bins, None)

    return walk(band, (size[0], size[1]), _loud(reader, band, None), take)


def walk(
    band: Band, size: tuple[int, int], loud: Sequence[int], take: Take, *, undecided: bool = False
) -> Ints:
    """The symbols (C, *size) that `take` gives, asked in the order of coding, each in its context.

    Args:
        loud: the channels to ask for; the others are zero.
        undecided: which channels are zero throughout shows only now; such count nothing, as they will in a
            file.
    """
    at = places(size[0], size[1])
    count, first = len(at.order), at.first
    symbols = np.zeros((band.channels, *size), np.int32)
    # Rows are (channel, tap) of the channels so far without silent ones; columns are steps in coding order.
    means, scales = np.empty((2, len(loud) * TAPS, count))
    rows = (np.array(loud, np.intp)[:, None] * TAPS + np.arange(TAPS)).reshape(-1)
    surprise = np.zeros((2, count), np.int64)  # found and expected, of the channels so far
    for begin in range(0, len(loud), TOGETHER):
        group = np.array(loud[begin : begin + TOGETHER])
        split = begin * TAPS
        across = np.ix_(group, rows[:split])
        far_mean = band.mean_rows[across] @ means[:split]
        far_scale = band.scale_rows[across] @ scales[:split]
        for index, channel in enumerate(group):
            known = (begin + index) * TAPS
            near = rows[split:known]
            mean = far_mean[index] + band.mean_rows[channel, near] @ means[split:known]
            scale = far_scale[index] + band.scale_rows[channel, near] @ scales[split:known]
            padded = np.zeros(at.padded)
            own_surprise = np.zeros((2, at.padded), np.int64)
            plane = symbols[channel].reshape(-1)
            for half, part in enumerate((slice(first), slice(first, None))):
                where = at.order[part]
                half_mean = mean[part] + band.mean_bias[half, channel]
                half_scale = scale[part] + band.scale_bias[half, channel]
                seen = surprise[:, part]
                if half:
                    own = padded[at.cross]
                    half_mean += band.mean_own[channel].astype(np.float64) @ own
                    half_scale += band.scale_own[channel].astype(np.float64) @ np.abs(own)
                    seen = seen + own_surprise[:, at.cross].sum(1)
                level = np.searchsorted(band.thresholds_float, half_scale, side="right")
                ratio = (seen[0] + EASE) * RATIO_UNIT // (seen[1] + EASE)
                shifted = (
                    level + np.searchsorted(band.ratios_wide, ratio, side="right") - len(band.ratios) // 2
                )
                bins = np.minimum(np.maximum(shifted, 0), len(band.spread) - 1) // FINE
                whole = np.minimum(np.maximum(half_mean, -_MOST), _MOST).astype(np.int64)
                plane[where] = found = take(channel, where, whole, bins)
                padded[at.inner[part]] = found
                own_surprise[0, at.inner[part]] = np.abs(found * MEAN_UNIT - whole)
                own_surprise[1, at.inner[part]] = band.spread[level]
            if not undecided or plane.any():
                surprise += own_surprise[:, at.inner]
            means[known : known + TAPS] = padded[at.around]
            np.abs(means[known : known + TAPS], out=scales[known : known + TAPS])
    return symbols


@dataclass(frozen=True, eq=False)
class Places:
    """Where the steps of a tile are: flat indices into it, and into it with a border of one step of zeros.

    Attributes:
        order: (h·w,) into the tile: row + column even, then odd, each row by row.
        first: how many are even.
        padded: how many steps the tile with its border has.
        inner: (h·w,) the same steps in the tile with its border.
        around: (9, h·w) their neighbourhoods there.
        cross: (4, odd ones) up, left, right and down of each odd step there.
    """

    order: Where
    first: int
    padded: int
    inner: Where
    around: Where
    cross: Where


@lru_cache(maxsize=8)
def places(height: int, width: int) -> Places:
    """The places of a tile of that size."""
    rows, columns = np.divmod(np.arange(height * width), width)
    odd = (rows + columns) % 2
    order = np.argsort(odd, kind="stable")
    inner = ((rows + 1) * (width + 2) + columns + 1)[order]
    down, right = np.divmod(np.arange(TAPS), 3)
    around = inner + ((down - 1) * (width + 2) + right - 1)[:, None]
    first = int((odd == 0).sum())
    padded = (height + 2) * (width + 2)
    return Places(order, first, padded, inner, around, around[list(CROSS), first:])


def _loud(coder: Coder, band: Band, given: Ints | None) -> list[int]:
    """The channels that are not zero throughout, coded as one flag each."""
    silent: Ints | None = None
    if given is not None:
        silent = np.asarray(~given.any((1, 2)), np.int32)
    weights = np.stack([TOTAL - band.silent, band.silent], 1).astype(np.float64) - 1
    return [int(c) for c in np.flatnonzero(coder.categorical(weights, silent) == 0)]


def _code(coder: Coder, band: Band, mean: Integers, bins: npt.NDArray[np.intp], values: Ints | None) -> Ints:
    middle = (mean + MEAN_UNIT // 2) >> _MEAN_BITS  # rounds down, also below zero
    away = mean - middle * MEAN_UNIT  # in [−½, ½) of MEAN_UNIT
    mirror = np.where(away < 0, -1, 1)
    shift = band.shifts[bins].astype(np.int64)
    weights = band.coder_weights[bins, classes(middle, away)]

    residual = None if values is None else (values - middle) * mirror
    high = None if residual is None else residual >> shift
    given = None
    if high is not None:
        given = np.where(np.abs(high) > REACH, ENTRIES - 1, high + REACH).astype(np.int32)
    entry = coder.categorical(weights, given)
    outside = np.flatnonzero(entry == ENTRIES - 1)
    high = entry.astype(np.int64) - REACH if high is None else high
    if len(outside):
        high[outside] = _escape(coder, None if residual is None else high[outside], len(outside))
    low = np.zeros(len(bins), np.int64)
    for bits in range(1, int(shift.max(initial=0)) + 1):
        here = np.flatnonzero(shift == bits)
        known = None if residual is None else (residual[here] & ((1 << bits) - 1)).astype(np.int32)
        low[here] = coder.raw(bits, len(here), known)
    found = ((high << shift) + low) * mirror + middle
    if len(found) and np.abs(found).max() > LARGEST:
        raise CompressedFileError("damaged: a symbol is out of range")
    return found.astype(np.int32)


def classes(middle: Integers, away: Integers) -> Integers:
    """Which table of its bin a symbol gets, by where its mean lies: 0 to CLASSES − 1."""
    fraction = np.minimum((np.abs(away) * (2 * FRACTIONS)) >> _MEAN_BITS, FRACTIONS - 1)
    zone = 2 * np.minimum(np.abs(middle), 2) - (middle * away < 0)
    return np.asarray(fraction * ZONES + zone, np.int64)


def _escape(coder: Coder, values: npt.NDArray[np.int64] | None, count: int) -> npt.NDArray[np.int64]:
    """Values beyond ±REACH: sign, length of what is beyond in bits (Elias 1975, gamma), then those bits."""
    beyond = None if values is None else np.abs(values) - REACH  # at least 1
    sign = coder.raw(1, count, None if values is None else (values < 0).astype(np.int32))
    length = None if beyond is None else np.frexp(beyond)[1].astype(np.int32) - 1
    flat = np.full((count, 1 << 5), TOTAL / (1 << 5) - 1)
    length = coder.categorical(flat, length)
    if count and length.max() >= _LARGEST_LENGTH:
        raise CompressedFileError("damaged: a symbol is out of range")
    found = np.ones(count, np.int64) << length
    for bits in range(1, int(length.max(initial=0)) + 1):
        here = np.flatnonzero(length == bits)
        given = None if beyond is None else (beyond[here] & ((1 << bits) - 1)).astype(np.int32)
        found[here] += coder.raw(bits, len(here), given)
    return (found + REACH) * np.where(sign == 1, -1, 1)
