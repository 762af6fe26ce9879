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
from isthmus.codec.context_model import ContextSums, TileLayout, build_tile_layout
from isthmus.codec.tables import (
    ENTRIES,
    FRACTIONS,
    LEVELS_PER_BIN,
    MAX_DIRECT_RESIDUAL,
    MAX_SYMBOL,
    MEAN_CLASSES,
    MEAN_UNIT,
    RATIO_PRIOR,
    RATIO_UNIT,
    Band,
    Integers,
)
from isthmus.threads import one_blas_thread

TILES_PER_BATCH = 4  # tiles that are worth walking together; each takes some 20 MB
_MEAN_BITS = MEAN_UNIT.bit_length() - 1
_MAX_MEAN = MAX_SYMBOL * MEAN_UNIT
_LARGEST_LENGTH = 17  # bits of the largest escape: residuals stay below 2¹⁷

Where = npt.NDArray[np.intp]
# The symbols (n,) of a channel in one half of all tiles, from their means (in 1/MEAN_UNIT) and bins.
Take = Callable[[int, int, Integers, Where], Ints]


def encode_symbols(symbols: Ints, band: Band) -> bytes:
    """The bytes of `symbols` (C, h, w), int32, magnitudes at most `MAX_SYMBOL`."""
    return encode_tiles([symbols], band)[0]


def decode_symbols(data: bytes | memoryview, size: tuple[int, int], band: Band) -> Ints:
    """Symbols (C, *size), int32, from what `encode_symbols` gave.

    Raises:
        CompressedFileError: the bytes are not what `encode_symbols` writes, as far as that shows here;
            checksums show the rest.
    """
    symbols = decode_tiles([(data, size)], band)[0]
    if isinstance(symbols, CompressedFileError):
        raise symbols
    return symbols


def encode_tiles(tiles: Sequence[Ints], band: Band) -> list[bytes]:
    """`encode_symbols` of several tiles, in less time."""
    at = build_tile_layout(tuple((tile.shape[1], tile.shape[2]) for tile in tiles))
    writers = [Writer() for _ in tiles]
    given = at.columns([np.ascontiguousarray(tile, np.int32) for tile in tiles])
    active = np.stack(
        [_code_active_channels(writer, band, tile) for writer, tile in zip(writers, tiles, strict=True)]
    )

    def take(channel: int, half: int, mean: Integers, bins: Where) -> Ints:
        values = given[channel, at.halves[half]]
        model = _SymbolModel(band, mean, bins)
        for tile in np.flatnonzero(active[:, channel]):
            model.code(writers[tile], at.parts[half][tile], values)
        return values

    walk_contexts(band, at, active, take)
    return [writer.bytes() for writer in writers]


def decode_tiles(
    tiles: Sequence[tuple[bytes | memoryview, tuple[int, int]]], band: Band
) -> list[Ints | CompressedFileError]:
    """Decode several tiles (bytes, size) at once, which is faster: the symbols of each, or its error."""
    at = build_tile_layout(tuple(size for _, size in tiles))
    active = np.zeros((len(tiles), band.channels), bool)
    readers: list[Reader | None] = [None] * len(tiles)
    errors: dict[int, CompressedFileError] = {}

    def lose(tile: int, failure: CompressedFileError) -> None:
        errors[tile] = failure
        active[tile] = False

    for tile, (data, _) in enumerate(tiles):
        try:
            readers[tile] = reader = Reader(data)
            active[tile] = _code_active_channels(reader, band, None)
        except CompressedFileError as error:
            lose(tile, error)

    def take(channel: int, half: int, mean: Integers, bins: Where) -> Ints:
        model = _SymbolModel(band, mean, bins)
        values = np.zeros(len(mean), np.int32)
        for tile in np.flatnonzero(active[:, channel]):
            part, reader = at.parts[half][tile], readers[tile]
            assert reader is not None
            try:
                values[part] = model.code(reader, part, None)
            except CompressedFileError as error:
                lose(int(tile), error)
        return values

    coded = at.tiles(walk_contexts(band, at, active, take))
    return [errors.get(tile, symbols) for tile, symbols in enumerate(coded)]


def walk_contexts(band: Band, at: TileLayout, active: npt.NDArray[np.bool_], take: Take) -> Ints:
    """The symbols (C, n) that `take` gives, asked in the order of coding, each in its context.

    Args:
        at: the places of all tiles, in n columns.
        active: (tiles, C): which channels to ask for; the others are zero and count nothing. `take` may
            silence a tile from then on.
    """
    with one_blas_thread:
        return _walk_contexts(band, at, active, take)


def _walk_contexts(band: Band, at: TileLayout, active: npt.NDArray[np.bool_], take: Take) -> Ints:
    symbols = np.zeros((band.channels, at.count), np.int32)
    channels = np.flatnonzero(active.any(0))
    sums = ContextSums(band, channels, at.halves)
    padded = np.zeros(at.padded)
    flat = padded.reshape(-1)
    # Found and expected, of the channels so far, eased; and of this one, with a border of zeros.
    residual_sums = np.full((2, at.count), RATIO_PRIOR, np.int64)
    own_residuals = np.zeros((2, *at.padded), np.int64)
    flat_residuals = own_residuals.reshape(2, -1)
    for index, channel in enumerate(channels):
        mean, scale = sums.predict(index)
        padded[:] = 0
        own_residuals[:] = 0
        for half, part in enumerate(at.halves):
            inner = at.inner[part]
            half_mean, half_scale, ratio_sums = mean[part], scale[part], residual_sums[:, part]
            if half:
                own = flat.take(at.cross)
                half_mean += band.own_rows[0, channel] @ own
                half_scale += band.own_rows[1, channel] @ np.abs(own, out=own)
                ratio_sums = ratio_sums + _sum_neighbours(own_residuals).take(at.odd, axis=1)
            level = band.thresholds_float.searchsorted(half_scale, side="right")
            ratio = ratio_sums[0] * RATIO_UNIT // ratio_sums[1]
            shifted = level + (band.ratios_wide.searchsorted(ratio, side="right") - len(band.ratios) // 2)
            bins = np.minimum(np.maximum(shifted, 0), len(band.spread) - 1) // LEVELS_PER_BIN
            rounded_mean = np.minimum(np.maximum(half_mean, -_MAX_MEAN), _MAX_MEAN).astype(np.int64)
            symbols[channel, part] = flat[inner] = values = take(int(channel), half, rounded_mean, bins)
            residual, expected = np.abs(values * MEAN_UNIT - rounded_mean), band.spread_wide[level]
            for silent in np.flatnonzero(~active[:, channel]):
                residual[at.parts[half][silent]] = expected[at.parts[half][silent]] = 0
            flat_residuals[0, inner], flat_residuals[1, inner] = residual, expected
        residual_sums += flat_residuals.take(at.inner, axis=1)
        sums.update(index, flat, at.around)
    return symbols


def _sum_neighbours(padded: Integers) -> Integers:
    """(2, h + 2, w + 2) → (2, h·w): up, left, right and down of each step added."""
    rows = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    rows += padded[:, 1:-1, :-2]
    rows += padded[:, 1:-1, 2:]
    return rows.reshape(2, -1)


def _code_active_channels(coder: Coder, band: Band, given: Ints | None) -> npt.NDArray[np.bool_]:
    """(C,): the channels that are not zero throughout, coded as one flag each."""
    silent: Ints | None = None
    if given is not None:
        silent = np.asarray(~given.any((1, 2)), np.int32)
    weights = np.stack([TOTAL - band.silent, band.silent], 1).astype(np.float64) - 1
    return np.asarray(coder.categorical(weights, silent) == 0)


class _SymbolModel:
    """What symbols are likely to be, from their means and bins, and the coding of them."""

    def __init__(self, band: Band, mean: Integers, bins: Where) -> None:
        self.middle = (mean + MEAN_UNIT // 2) >> _MEAN_BITS  # rounds down, also below zero
        away = mean - self.middle * MEAN_UNIT  # in [−½, ½) of MEAN_UNIT
        self.mirror = np.where(away < 0, -1, 1)
        self.shift = band.shifts_wide[bins]
        self.weights = band.coder_weights[bins, mean_classes(self.middle, away)]

    def code(self, coder: Coder, part: slice, values: Ints | None) -> Ints:
        """The symbols of the columns `part`: those of `values` (n,), or what the coder finds."""
        middle, mirror, shift = self.middle[part], self.mirror[part], self.shift[part]
        residual = None if values is None else (values[part] - middle) * mirror
        high = None if residual is None else residual >> shift
        given = None
        if high is not None:
            given = np.where(
                np.abs(high) > MAX_DIRECT_RESIDUAL, ENTRIES - 1, high + MAX_DIRECT_RESIDUAL
            ).astype(np.int32)
        entry = coder.categorical(self.weights[part], given)
        outside = np.flatnonzero(entry == ENTRIES - 1)
        high = entry.astype(np.int64) - MAX_DIRECT_RESIDUAL if high is None else high
        if len(outside):
            high[outside] = _code_escapes(coder, None if residual is None else high[outside], len(outside))
        low = np.zeros(len(entry), np.int64)
        for bits in range(1, int(shift.max(initial=0)) + 1):
            here = np.flatnonzero(shift == bits)
            bits_given = None if residual is None else (residual[here] & ((1 << bits) - 1)).astype(np.int32)
            low[here] = coder.raw(bits, len(here), bits_given)
        symbols = ((high << shift) + low) * mirror + middle
        if len(symbols) and np.abs(symbols).max() > MAX_SYMBOL:
            raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
        return symbols.astype(np.int32)


def mean_classes(middle: Integers, away: Integers) -> Integers:
    """Which table of its bin a symbol gets, by where its mean lies: 0 to CLASSES − 1."""
    fraction = np.minimum((np.abs(away) * (2 * FRACTIONS)) >> _MEAN_BITS, FRACTIONS - 1)
    zone = 2 * np.minimum(np.abs(middle), 2) - (middle * away < 0)
    return np.asarray(fraction * MEAN_CLASSES + zone, np.int64)


def _code_escapes(coder: Coder, values: npt.NDArray[np.int64] | None, count: int) -> npt.NDArray[np.int64]:
    """Values beyond ±REACH: sign, length of what is beyond in bits (Elias 1975, gamma), then those bits."""
    beyond = None if values is None else np.abs(values) - MAX_DIRECT_RESIDUAL  # at least 1
    sign = coder.raw(1, count, None if values is None else (values < 0).astype(np.int32))
    length = None if beyond is None else np.frexp(beyond)[1].astype(np.int32) - 1
    flat = np.full((count, 1 << 5), TOTAL / (1 << 5) - 1)
    length = coder.categorical(flat, length)
    if count and length.max() >= _LARGEST_LENGTH:
        raise CompressedFileError("damaged: a symbol is out of range", id="compressed-file.symbol-range")
    magnitude = np.ones(count, np.int64) << length
    for bits in range(1, int(length.max(initial=0)) + 1):
        here = np.flatnonzero(length == bits)
        given = None if beyond is None else (beyond[here] & ((1 << bits) - 1)).astype(np.int32)
        magnitude[here] += coder.raw(bits, len(here), given)
    return (magnitude + MAX_DIRECT_RESIDUAL) * np.where(sign == 1, -1, 1)
