"""Symbols of tiles ↔ bytes, along the walk of `context_model`.

Tiles do not depend on one another; several are coded together because that takes less time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.codec.coder import Ints, Reader, Writer
from isthmus.codec.container import CompressedFileError
from isthmus.codec.context_model import walk_contexts
from isthmus.codec.quantisation import SymbolChoice
from isthmus.codec.symbol_model import SymbolModel, code_active_channels
from isthmus.codec.tables import Band
from isthmus.codec.tile_layout import build_tile_layout

TILES_PER_BATCH = 4  # tiles that are worth walking together; each takes some 20 MB


def encode_symbols(symbols: Ints, band: Band) -> bytes:
    """The bytes of `symbols` (C, h, w), int32, magnitudes at most `MAX_SYMBOL`."""
    return encode_tiles([symbols], band)[0]


def decode_symbols(data: bytes | memoryview, size: tuple[int, int], band: Band) -> Ints:
    """Symbols (C, *size), int32, from what `encode_symbols` gave.

    Raises:
        CompressedFileError: the bytes cannot come from `encode_symbols`. Other damage is found by checksums.
    """
    symbols = decode_tiles([(data, size)], band)[0]
    if isinstance(symbols, CompressedFileError):
        raise symbols
    return symbols


def encode_tiles(tiles: Sequence[Ints], band: Band) -> list[bytes]:
    """`encode_symbols` of several tiles, in less time."""
    return [data for _, data in _encode(tiles, band, None)]


def encode_latents(choice: SymbolChoice, band: Band) -> list[tuple[Ints, bytes]]:
    """The symbols (C, h, w) that are worth their bits for each tile of latents, and their bytes."""
    return _encode(choice.nearest, band, choice)


def _encode(tiles: Sequence[Ints], band: Band, choice: SymbolChoice | None) -> list[tuple[Ints, bytes]]:
    """The symbols written for each tile, of which `tiles` are the nearest, and the bytes.

    A channel is not coded in a tile where all of its nearest symbols are zero.
    """
    at = build_tile_layout(tuple((tile.shape[1], tile.shape[2]) for tile in tiles))
    nearest = at.columns([np.ascontiguousarray(tile, np.int32) for tile in tiles])
    latents = None if choice is None else at.columns(choice.latents)
    writers = [Writer() for _ in tiles]
    flags = [np.asarray(tile.any((1, 2))) for tile in tiles]
    active = np.stack([code_active_channels(w, band, on) for w, on in zip(writers, flags, strict=True)])

    def take(channel: int, half: int, model: SymbolModel) -> Ints:
        values = nearest[channel, at.halves[half]]
        if choice is not None and latents is not None:
            values = choice.choose(channel, values, latents[channel, at.halves[half]], model)
        for tile, (part, is_active) in enumerate(
            zip(at.parts[half], active[:, channel].tolist(), strict=True)
        ):
            if is_active:
                model.code(writers[tile], part, values)
            else:
                values[part] = 0
        return values

    symbols = walk_contexts(band, at, active, take)
    return list(zip(at.tiles(symbols), [writer.bytes() for writer in writers], strict=True))


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
            active[tile] = code_active_channels(reader, band, None)
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
