"""Symbols of tiles ↔ bytes. One walk serves both directions, so that they cannot disagree.

Channels go in their order, each in two halves of a checkerboard. A symbol's mean and scale are linear in what
is known: the channels before it in a 3×3 neighbourhood, and for the second half the channel's own four
neighbours (the two-pass checkerboard of He et al. 2021, "Checkerboard context model for efficient learned
image compression", with integer weights in place of their networks). How far the symbols of earlier channels
at a place lay from their means, against what their scales promised, then corrects the scale there. All sums
are of integers, and exact (`sums`). Tiles know nothing of one another; several go the walk together because
that takes less time than one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Coder, Ints, Reader, Writer
from isthmus.codec.container import CompressedFileError
from isthmus.codec.places import Places, places
from isthmus.codec.sums import Sums
from isthmus.codec.tables import (
    EASE,
    ENTRIES,
    FINE,
    FRACTIONS,
    LARGEST,
    MEAN_UNIT,
    RATIO_UNIT,
    REACH,
    ZONES,
    Band,
    Integers,
)
from isthmus.threads import one_blas_thread

AT_ONCE = 4  # tiles that are worth walking together; each takes some 20 MB
_MEAN_BITS = MEAN_UNIT.bit_length() - 1
_MOST = LARGEST * MEAN_UNIT
_LARGEST_LENGTH = 17  # bits of the largest escape: residuals stay below 2¹⁷

Where = npt.NDArray[np.intp]
# The symbols (n,) of a channel in one half of all tiles, from their means (in 1/MEAN_UNIT) and bins.
Take = Callable[[int, int, Integers, Where], Ints]


def encode(symbols: Ints, band: Band) -> bytes:
    """The bytes of `symbols` (C, h, w), int32, magnitudes at most `LARGEST`."""
    return encode_together([symbols], band)[0]


def decode(data: bytes | memoryview, size: tuple[int, int], band: Band) -> Ints:
    """Symbols (C, *size), int32, from what `encode` gave.

    Raises:
        CompressedFileError: the bytes were not made by `encode`, as far as that can be seen; checksums see
            the rest.
    """
    found = decode_together([(data, size)], band)[0]
    if isinstance(found, CompressedFileError):
        raise found
    return found


def encode_together(tiles: Sequence[Ints], band: Band) -> list[bytes]:
    """`encode` of several tiles, in less time."""
    at = places(tuple((tile.shape[1], tile.shape[2]) for tile in tiles))
    writers = [Writer() for _ in tiles]
    given = at.columns([np.ascontiguousarray(tile, np.int32) for tile in tiles])
    loud = np.stack([_loud(writer, band, tile) for writer, tile in zip(writers, tiles, strict=True)])

    def take(channel: int, half: int, mean: Integers, bins: Where) -> Ints:
        values = given[channel, at.halves[half]]
        likely = _Likely(band, mean, bins)
        for tile in np.flatnonzero(loud[:, channel]):
            likely.code(writers[tile], at.parts[half][tile], values)
        return values

    walk(band, at, loud, take)
    return [writer.bytes() for writer in writers]


def decode_together(
    tiles: Sequence[tuple[bytes | memoryview, tuple[int, int]]], band: Band
) -> list[Ints | CompressedFileError]:
    """`decode` of the bytes and sizes of several tiles, in less time: the symbols of each, or why not."""
    at = places(tuple(size for _, size in tiles))
    loud = np.zeros((len(tiles), band.channels), bool)
    readers: list[Reader | None] = [None] * len(tiles)
    wrong: dict[int, CompressedFileError] = {}

    def lose(tile: int, error: CompressedFileError) -> None:
        wrong[tile] = error
        loud[tile] = False

    for tile, (data, _) in enumerate(tiles):
        try:
            readers[tile] = reader = Reader(data)
            loud[tile] = _loud(reader, band, None)
        except CompressedFileError as error:
            lose(tile, error)

    def take(channel: int, half: int, mean: Integers, bins: Where) -> Ints:
        likely = _Likely(band, mean, bins)
        values = np.zeros(len(mean), np.int32)
        for tile in np.flatnonzero(loud[:, channel]):
            part, reader = at.parts[half][tile], readers[tile]
            assert reader is not None
            try:
                values[part] = likely.code(reader, part, None)
            except CompressedFileError as error:
                lose(int(tile), error)
        return values

    coded = at.tiles(walk(band, at, loud, take))
    return [wrong.get(tile, symbols) for tile, symbols in enumerate(coded)]


def walk(band: Band, at: Places, loud: npt.NDArray[np.bool_], take: Take) -> Ints:
    """The symbols (C, n) that `take` gives, asked in the order of coding, each in its context.

    Args:
        at: the places of all tiles, in n columns.
        loud: (tiles, C): which channels to ask for; the others are zero and count nothing. `take` may
            silence a tile from then on.
    """
    with one_blas_thread:
        return _walked(band, at, loud, take)


def _walked(band: Band, at: Places, loud: npt.NDArray[np.bool_], take: Take) -> Ints:
    symbols = np.zeros((band.channels, at.count), np.int32)
    channels = np.flatnonzero(loud.any(0))
    sums = Sums(band, channels, at.halves)
    padded = np.zeros(at.padded)
    flat = padded.reshape(-1)
    # Found and expected, of the channels so far, eased; and of this one, with a border of zeros.
    surprise = np.full((2, at.count), EASE, np.int64)
    own_surprise = np.zeros((2, *at.padded), np.int64)
    flat_surprise = own_surprise.reshape(2, -1)
    for index, channel in enumerate(channels):
        mean, scale = sums.of(index)
        padded[:] = 0
        own_surprise[:] = 0
        for half, part in enumerate(at.halves):
            inner = at.inner[part]
            half_mean, half_scale, seen = mean[part], scale[part], surprise[:, part]
            if half:
                own = flat.take(at.cross)
                half_mean += band.own_rows[0, channel] @ own
                half_scale += band.own_rows[1, channel] @ np.abs(own, out=own)
                seen = seen + _beside(own_surprise).take(at.odd, axis=1)
            level = band.thresholds_float.searchsorted(half_scale, side="right")
            ratio = seen[0] * RATIO_UNIT // seen[1]
            shifted = level + (band.ratios_wide.searchsorted(ratio, side="right") - len(band.ratios) // 2)
            bins = np.minimum(np.maximum(shifted, 0), len(band.spread) - 1) // FINE
            whole = np.minimum(np.maximum(half_mean, -_MOST), _MOST).astype(np.int64)
            symbols[channel, part] = flat[inner] = found = take(int(channel), half, whole, bins)
            off, expected = np.abs(found * MEAN_UNIT - whole), band.spread_wide[level]
            for silent in np.flatnonzero(~loud[:, channel]):
                off[at.parts[half][silent]] = expected[at.parts[half][silent]] = 0
            flat_surprise[0, inner], flat_surprise[1, inner] = off, expected
        surprise += flat_surprise.take(at.inner, axis=1)
        sums.tell(index, flat, at.around)
    return symbols


def _beside(padded: Integers) -> Integers:
    """(2, h + 2, w + 2) → (2, h·w): up, left, right and down of each step added."""
    rows = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    rows += padded[:, 1:-1, :-2]
    rows += padded[:, 1:-1, 2:]
    return rows.reshape(2, -1)


def _loud(coder: Coder, band: Band, given: Ints | None) -> npt.NDArray[np.bool_]:
    """(C,): the channels that are not zero throughout, coded as one flag each."""
    silent: Ints | None = None
    if given is not None:
        silent = np.asarray(~given.any((1, 2)), np.int32)
    weights = np.stack([TOTAL - band.silent, band.silent], 1).astype(np.float64) - 1
    return np.asarray(coder.categorical(weights, silent) == 0)


class _Likely:
    """What symbols are likely to be, from their means and bins, and the coding of them."""

    def __init__(self, band: Band, mean: Integers, bins: Where) -> None:
        self.middle = (mean + MEAN_UNIT // 2) >> _MEAN_BITS  # rounds down, also below zero
        away = mean - self.middle * MEAN_UNIT  # in [−½, ½) of MEAN_UNIT
        self.mirror = np.where(away < 0, -1, 1)
        self.shift = band.shifts_wide[bins]
        self.weights = band.coder_weights[bins, classes(self.middle, away)]

    def code(self, coder: Coder, part: slice, values: Ints | None) -> Ints:
        """The symbols of the columns `part`: those of `values` (n,), or what the coder finds."""
        middle, mirror, shift = self.middle[part], self.mirror[part], self.shift[part]
        residual = None if values is None else (values[part] - middle) * mirror
        high = None if residual is None else residual >> shift
        given = None
        if high is not None:
            given = np.where(np.abs(high) > REACH, ENTRIES - 1, high + REACH).astype(np.int32)
        entry = coder.categorical(self.weights[part], given)
        outside = np.flatnonzero(entry == ENTRIES - 1)
        high = entry.astype(np.int64) - REACH if high is None else high
        if len(outside):
            high[outside] = _escape(coder, None if residual is None else high[outside], len(outside))
        low = np.zeros(len(entry), np.int64)
        for bits in range(1, int(shift.max(initial=0)) + 1):
            here = np.flatnonzero(shift == bits)
            known = None if residual is None else (residual[here] & ((1 << bits) - 1)).astype(np.int32)
            low[here] = coder.raw(bits, len(here), known)
        found = ((high << shift) + low) * mirror + middle
        if len(found) and np.abs(found).max() > LARGEST:
            raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
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
        raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
    found = np.ones(count, np.int64) << length
    for bits in range(1, int(length.max(initial=0)) + 1):
        here = np.flatnonzero(length == bits)
        given = None if beyond is None else (beyond[here] & ((1 << bits) - 1)).astype(np.int32)
        found[here] += coder.raw(bits, len(here), given)
    return (found + REACH) * np.where(sign == 1, -1, 1)
