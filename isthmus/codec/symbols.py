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
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Coder, Ints, Reader, Writer
from isthmus.codec.container import CompressedFileError
from isthmus.codec.context_model import ContextSums, TileLayout, build_tile_layout
from isthmus.codec.symbol_choice import ErrorCosts, SymbolChoice
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.tables import (
    MAX_SYMBOL,
    MEAN_UNIT,
    RATIO_PRIOR,
    RATIO_UNIT,
    Band,
    Integers,
)
from isthmus.threads import one_blas_thread

TILES_PER_BATCH = 4  # tiles that are worth walking together; each takes some 20 MB
_MAX_MEAN = MAX_SYMBOL * MEAN_UNIT

# The symbols (n,) of a channel in one half of all tiles, from what is likely there.
Take = Callable[[int, int, SymbolModel], Ints]


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
    at = _lay_out(tiles)
    given = at.columns([np.ascontiguousarray(tile, np.int32) for tile in tiles])
    return _encode(at, given, band, lambda channel, half, _: given[channel, at.halves[half]])[1]


def encode_latents(
    tiles: Sequence[npt.NDArray[np.float32]], band: Band, costs: ErrorCosts
) -> list[tuple[Ints, bytes]]:
    """The symbols (C, h, w) that are worth their bits for each tile of latents in steps, and their bytes.

    Args:
        tiles: latents (C, h, w), each divided by its step.
        costs: what errors of symbols cost.
    """
    at = _lay_out(tiles)
    choice = SymbolChoice(at.columns(tiles), at.halves, costs)
    symbols, data = _encode(at, choice.nearest, band, choice.take)
    return list(zip(at.tiles(symbols), data, strict=True))


def _encode(at: TileLayout, nearest: Ints, band: Band, choose: Take) -> tuple[Ints, list[bytes]]:
    """The symbols (C, columns) that are chosen, and the bytes of each tile.

    Channels are silent in a tile where all of `nearest` is zero.
    """
    writers = [Writer() for _ in at.sizes]
    active = np.stack(
        [_code_active_channels(w, band, tile) for w, tile in zip(writers, at.tiles(nearest), strict=True)]
    )

    def take(channel: int, half: int, model: SymbolModel) -> Ints:
        values = choose(channel, half, model)
        for tile, (part, is_active) in enumerate(
            zip(at.parts[half], active[:, channel].tolist(), strict=True)
        ):
            if is_active:
                model.code(writers[tile], part, values)
            else:
                values[part] = 0
        return values

    symbols = walk_contexts(band, at, active, take)
    return symbols, [writer.bytes() for writer in writers]


def _lay_out(tiles: Sequence[npt.NDArray[Any]]) -> TileLayout:
    return build_tile_layout(tuple((tile.shape[1], tile.shape[2]) for tile in tiles))


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

    def take(channel: int, half: int, model: SymbolModel) -> Ints:
        values = np.zeros(len(model.middle), np.int32)
        for tile, (part, is_active) in enumerate(
            zip(at.parts[half], active[:, channel].tolist(), strict=True)
        ):
            reader = readers[tile]
            if not is_active or reader is None:
                continue
            try:
                values[part] = model.code(reader, part, None)
            except CompressedFileError as error:
                lose(tile, error)
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
            bins = band.bins_by_level.take(level + band.ratios_wide.searchsorted(ratio, side="right"))
            rounded_mean = np.minimum(np.maximum(half_mean, -_MAX_MEAN), _MAX_MEAN).astype(np.int64)
            values = take(int(channel), half, SymbolModel(band, rounded_mean, bins))
            residual, expected = np.abs(values * MEAN_UNIT - rounded_mean), band.spread_wide.take(level)
            for mine, is_active in zip(at.parts[half], active[:, channel].tolist(), strict=True):
                if not is_active:
                    residual[mine] = expected[mine] = 0
            symbols[channel, part] = flat[inner] = values
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
