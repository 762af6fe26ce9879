"""Symbols of one tile ↔ bytes. One walk serves both directions, so that they cannot disagree.

Channels go in their order, each in two halves of a checkerboard. A symbol's mean and scale are linear in what
is known: the channels before it in a 3×3 neighbourhood, and for the second half the channel's own four
neighbours (the two-pass checkerboard of He et al. 2021, "Checkerboard context model for efficient learned
image compression", with integer weights in place of their networks). How far the symbols of earlier channels
at a place lay from their means, against what their scales promised, then corrects the scale there. All sums
are of integers and stay far below 2⁵³, so that double precision is exact in whatever order a machine adds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Coder, Floats, Ints, Reader, Writer
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
_LARGEST_LENGTH = 17  # bits of the largest escape: residuals stay below 2¹⁷

Where = npt.NDArray[np.intp]


def encode(symbols: Ints, band: Band) -> bytes:
    """The bytes of `symbols` (C, h, w), int32, magnitudes at most `LARGEST`."""
    writer = Writer()
    _walk(writer, band, symbols.shape[1:], np.ascontiguousarray(symbols, np.int32))
    return writer.bytes()


def decode(data: bytes | memoryview, size: tuple[int, int], band: Band) -> Ints:
    """Symbols (C, *size), int32, from what `encode` gave.

    Raises:
        CompressedFileError: the bytes were not made by `encode`, as far as that can be seen; checksums see
            the rest.
    """
    return _walk(Reader(data), band, size, None)


def _walk(coder: Coder, band: Band, size: tuple[int, ...], given: Ints | None) -> Ints:
    height, width = size
    loud = _loud(coder, band, given)
    halves = _halves(height, width)
    padded = np.zeros((height + 2, width + 2))
    # Rows are (channel, tap), columns positions; one pair of matrices for each half.
    means: list[Floats] = [np.zeros((band.channels * TAPS, len(half))) for half in halves]
    scales: list[Floats] = [np.zeros((band.channels * TAPS, len(half))) for half in halves]
    known = 0  # rows so far: silent channels have none
    rows = np.zeros(band.channels * TAPS, np.intp)
    symbols = np.zeros((band.channels, height, width), np.int32)
    surprise = Surprise(halves, (height, width))
    for begin in range(0, len(loud), TOGETHER):
        group = np.array(loud[begin : begin + TOGETHER])
        used, split = rows[:known], known
        far = [
            (
                band.mean_rows[np.ix_(group, used)] @ means[half][:split],
                band.scale_rows[np.ix_(group, used)] @ scales[half][:split],
            )
            for half in (0, 1)
        ]
        for index, channel in enumerate(group):
            near = rows[split:known]
            padded[1:-1, 1:-1] = 0
            for half, where in enumerate(halves):
                mean = far[half][0][index] + band.mean_rows[channel, near] @ means[half][split:known]
                scale = far[half][1][index] + band.scale_rows[channel, near] @ scales[half][split:known]
                mean += band.mean_bias[half, channel]
                scale += band.scale_bias[half, channel]
                if half:
                    own = _taps(padded, where)[list(CROSS)]
                    mean += band.mean_own[channel].astype(np.float64) @ own
                    scale += band.scale_own[channel].astype(np.float64) @ np.abs(own)
                whole = np.clip(mean, -LARGEST * MEAN_UNIT, LARGEST * MEAN_UNIT).astype(np.int64)
                level = np.searchsorted(band.thresholds, scale, side="right")
                offset = np.searchsorted(band.ratios, surprise.ratio(half), side="right")
                shifted = level + offset - len(band.ratios) // 2
                bins = np.clip(shifted, 0, len(band.spread) - 1) // FINE
                plane = symbols[channel].reshape(-1)
                values = None if given is None else given[channel].reshape(-1)[where]
                plane[where] = _code(coder, band, whole, bins, values)
                surprise.add(half, np.abs(plane[where] * MEAN_UNIT - whole), band.spread[level])
                padded[1:-1, 1:-1] = symbols[channel]
            for half, where in enumerate(halves):
                taps = _taps(padded, where)
                means[half][known : known + TAPS] = taps
                scales[half][known : known + TAPS] = np.abs(taps)
            rows[known : known + TAPS] = np.arange(channel * TAPS, (channel + 1) * TAPS)
            known += TAPS
    return symbols


class Surprise:
    """How far symbols lay from their means, and how far was to be expected, summed at each step of a tile."""

    def __init__(self, halves: tuple[Where, Where], size: tuple[int, int]) -> None:
        self.halves = halves
        self.sums = [np.zeros((2, len(half)), np.int64) for half in halves]  # of the channels before
        self.first = np.zeros((2, size[0] + 2, size[1] + 2), np.int64)  # of this channel's first half
        # Only used where row + column is odd: there all four neighbours are of the first half.
        self.inside = self.first[:, 1:-1, 1:-1]

    def ratio(self, half: int) -> Integers:
        """Found against expected, in 1/RATIO_UNIT, at each step of a half."""
        found, expected = self.sums[half]
        if half:
            f = self.first
            beside = f[:, :-2, 1:-1] + f[:, 2:, 1:-1] + f[:, 1:-1, :-2] + f[:, 1:-1, 2:]
            own_found, own_expected = beside.reshape(2, -1)[:, self.halves[1]]
            found, expected = found + own_found, expected + own_expected
        ratio: Integers = (found + EASE) * RATIO_UNIT // (expected + EASE)
        return ratio

    def add(self, half: int, found: Integers, expected: Integers) -> None:
        """The next channel's half is known. The second half ends the channel."""
        self.sums[half] += (found, expected)
        if half == 0:
            rows, columns = np.divmod(self.halves[0], self.inside.shape[2])
            self.inside[:, rows, columns] = found, expected


def _loud(coder: Coder, band: Band, given: Ints | None) -> list[int]:
    """The channels that are not zero throughout, coded as one flag each."""
    silent: Ints | None = None
    if given is not None:
        silent = np.asarray(~given.any((1, 2)), np.int32)
    weights = np.stack([TOTAL - band.silent, band.silent], 1).astype(np.float64) - 1
    return [int(c) for c in np.flatnonzero(coder.categorical(weights, silent) == 0)]


def _code(coder: Coder, band: Band, mean: Integers, bins: npt.NDArray[np.intp], values: Ints | None) -> Ints:
    middle = (mean + MEAN_UNIT // 2) // MEAN_UNIT
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
    for bits in np.unique(shift[shift > 0]):
        here = np.flatnonzero(shift == bits)
        known = None if residual is None else (residual[here] & ((1 << bits) - 1)).astype(np.int32)
        low[here] = coder.raw(int(bits), len(here), known)
    found = ((high << shift) + low) * mirror + middle
    if len(found) and np.abs(found).max() > LARGEST:
        raise CompressedFileError("damaged: a symbol is out of range")
    return found.astype(np.int32)


def classes(middle: Integers, away: Integers) -> Integers:
    """Which table of its bin a symbol gets, by where its mean lies: 0 to CLASSES − 1."""
    fraction = np.minimum(np.abs(away) * (2 * FRACTIONS) // MEAN_UNIT, FRACTIONS - 1)
    size = np.minimum(np.abs(middle), 2)
    zone = 2 * size - (middle * away < 0) * (size > 0)
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
    for bits in np.unique(length[length > 0]):
        here = np.flatnonzero(length == bits)
        given = None if beyond is None else (beyond[here] & ((1 << bits) - 1)).astype(np.int32)
        found[here] += coder.raw(int(bits), len(here), given)
    return (found + REACH) * np.where(sign == 1, -1, 1)


def _halves(height: int, width: int) -> tuple[Where, Where]:
    """Positions, row by row, where row + column is even, and where it is odd."""
    rows, columns = np.divmod(np.arange(height * width), width)
    odd = (rows + columns) % 2
    return np.flatnonzero(odd == 0), np.flatnonzero(odd)


def _taps(padded: Floats, where: Where) -> Floats:
    """(9, positions): the neighbourhood of each position, zero outside the tile."""
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return windows.reshape(-1, TAPS)[where].T
