"""The bytes of a file → a picture, or a part of one; damage to one tile leaves the others readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from isthmus.codec import container
from isthmus.codec.coder import Ints
from isthmus.codec.container import CompressedFileError, Container, Damage
from isthmus.codec.encoding import TILE_HEAD, checksum
from isthmus.codec.grid import Grid, Rectangle
from isthmus.codec.picture import Picture
from isthmus.codec.ready import Codec
from isthmus.codec.symbols import TILES_PER_BATCH, decode_tiles
from isthmus.codec.transform import synthesise_blocks
from isthmus.codec.transparency import decode_plane
from isthmus.errors import Hint, UsageError
from isthmus.threads import batched

Pixels = npt.NDArray[np.uint8]
MAX_LOST_PER_TILE = 64  # tiles to each whole one, beyond which nothing is painted


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A picture and its lost parts (only with `keep_going`)."""

    picture: Picture
    damage: tuple[Damage, ...] = field(default=())


def decode_picture(
    file: Container, codec: Codec, *, region: Rectangle | None = None, keep_going: bool = False
) -> DecodedPicture:
    """The picture in a file.

    Args:
        file: the file, taken apart; with `keep_going` chunks may be missing from it.
        region: the part that is wanted, in pixels; the rest is not decoded.
        keep_going: paint lost tiles from their surroundings (lost alpha opaque) and list them instead of
            raising.

    Raises:
        CompressedFileError: damaged, or made with another model.
        UsageError: a region that is not within the picture.
    """
    check_model(file.header, codec)
    grid = Grid.of(file.header, codec.stride)
    area = check_region(region, grid)
    _check_enough_tiles(file, list(grid.tiles_in(grid.to_steps(area))))
    damage = {(item.tag, item.number): item for item in file.damage}

    def report_loss(tag: bytes, number: int, error: CompressedFileError) -> None:
        if not keep_going:
            raise error
        damage.setdefault((tag, number), Damage(tag, number, "cannot be decoded"))

    def symbols(numbers: Sequence[int]) -> list[Ints | None]:
        tiles: list[Ints | None] = []
        for number, tile in zip(numbers, decode_tile_symbols(file, codec, grid, numbers), strict=True):
            if isinstance(tile, CompressedFileError):
                report_loss(container.TILE, number, tile)
                tiles.append(None)
            else:
                tiles.append(tile)
        return tiles

    channels = file.header.channels
    pixels = np.empty((*area.size, channels), np.uint8)
    for where, piece in synthesise_blocks(codec.model, symbols, file.header.quality / 100, grid, area):
        pixels[where.moved(-area.top, -area.left).slices] = match_channels(piece, channels)
    see_through: Pixels | None = None
    if file.header.alpha:
        see_through = np.full(area.size, 255, np.uint8)
        for number in grid.tiles_in(grid.to_steps(area)):
            tile = grid.to_pixels(grid.tile(number))
            part = tile.meet(area)
            try:
                plane = decode_plane(_payload(file, container.ALPHA, number), tile.size)
            except CompressedFileError as error:
                report_loss(container.ALPHA, number, error)
                continue
            inside = plane[part.moved(-tile.top, -tile.left).slices]
            see_through[part.moved(-area.top, -area.left).slices] = inside
    icc, exif = (bytes(file.chunks.get((tag, 0), b"")) or None for tag in (container.ICC, container.EXIF))
    touched = set(grid.tiles_in(grid.to_steps(area)))
    picture_damage = tuple(
        item
        for key, item in sorted(damage.items(), key=lambda item: (item[0][1], item[0][0]))
        if key[0] not in (container.TILE, container.ALPHA) or key[1] in touched
    )
    return DecodedPicture(Picture(pixels, see_through, icc, exif), picture_damage)


def iter_pieces(file: Container, codec: Codec) -> Iterator[tuple[Rectangle, Pixels]]:
    """The whole picture piece by piece: where it lies, and its pixels (h, w, channels) without alpha.

    Raises:
        CompressedFileError: damaged, or made with another model.
    """
    check_model(file.header, codec)
    grid = Grid.of(file.header, codec.stride)

    def symbols(numbers: Sequence[int]) -> list[Ints | None]:
        return [raise_if_damaged(tile) for tile in decode_tile_symbols(file, codec, grid, numbers)]

    quality = file.header.quality / 100
    for where, piece in synthesise_blocks(codec.model, symbols, quality, grid, grid.pixels):
        yield where, match_channels(piece, file.header.channels)


def decode_tile_symbols(
    file: Container, codec: Codec, grid: Grid, numbers: Sequence[int]
) -> list[Ints | CompressedFileError]:
    """The symbols (C, h, w) of each of these tiles, or the error: missing, or not written by an encoder."""
    tiles: dict[int, Ints | CompressedFileError] = {}
    heads: dict[int, tuple[int, int, memoryview]] = {}
    for number in numbers:
        try:
            heads[number] = _read_tile_head(file, codec, number)
        except CompressedFileError as error:
            tiles[number] = error
    for band in sorted({head[0] for head in heads.values()}):
        for some in batched((n for n, head in heads.items() if head[0] == band), TILES_PER_BATCH):
            encoded_tiles = [(heads[number][2], grid.tile(number).size) for number in some]
            tiles |= zip(some, decode_tiles(encoded_tiles, codec.tables.bands[band]), strict=True)
    for number, (_, check, _) in heads.items():
        symbols = tiles[number]
        if not isinstance(symbols, CompressedFileError) and checksum(symbols) != check:
            name = container.name_chunk(container.TILE, number)
            tiles[number] = CompressedFileError(
                "damaged: {name} decodes to other symbols than were encoded",
                id="compressed-file.tile-wrong-symbols",
                name=name,
            )
    return [tiles[number] for number in numbers]


def raise_if_damaged(tile: Ints | CompressedFileError) -> Ints:
    """Raises:
    CompressedFileError: what `decode_tile_symbols` found instead of the tile.
    """
    if isinstance(tile, CompressedFileError):
        raise tile
    return tile


def _read_tile_head(file: Container, codec: Codec, number: int) -> tuple[int, int, memoryview]:
    """Band, check and bytes of a tile."""
    payload = _payload(file, container.TILE, number)
    name = container.name_chunk(container.TILE, number)
    if len(payload) < TILE_HEAD.size:
        raise CompressedFileError("damaged: {name} is cut short", id="compressed-file.tile-short", name=name)
    band, check = TILE_HEAD.unpack(payload[: TILE_HEAD.size])
    if band >= len(codec.tables.bands):
        raise CompressedFileError(
            "damaged: {name} names a band that the model does not have",
            id="compressed-file.unknown-band",
            name=name,
        )
    return band, check, payload[TILE_HEAD.size :]


def match_channels(pixels: Pixels, channels: int) -> Pixels:
    """Pixels of a model → those of the file: gray again where a model of colour painted a gray picture."""
    if pixels.shape[2] == channels:
        return pixels
    total = pixels.sum(axis=2, keepdims=True, dtype=np.uint16)
    gray: Pixels = ((total + pixels.shape[2] // 2) // pixels.shape[2]).astype(np.uint8)
    return gray


def check_model(header: container.ContainerHeader, codec: Codec) -> None:
    """Raises:
    CompressedFileError: the file was made with another model.
    """
    if header.model != codec.fingerprint:
        raise CompressedFileError(
            "made with another model ({made_with}; this one is {model})",
            id="compressed-file.other-model",
            hint=Hint.call("decompress_files", "FILE", model="MODEL"),
            made_with=header.model.hex(),
            model=codec.fingerprint.hex(),
        )
    if header.channels > codec.model.channels:
        raise CompressedFileError(
            "damaged: a colour picture, but its model codes gray ones",
            id="compressed-file.colour-for-gray-model",
        )


def check_region(region: Rectangle | None, grid: Grid) -> Rectangle:
    """Raises:
    UsageError: empty, or not within the picture.
    """
    if region is None:
        return grid.pixels
    if not region or region.meet(grid.pixels) != region:
        height, width = grid.size
        raise UsageError(
            "the region is not within the picture, {width}×{height} pixels",
            id="codec.region-outside",
            width=width,
            height=height,
        )
    return region


def _check_enough_tiles(file: Container, numbers: Sequence[int]) -> None:
    """Raises:
    CompressedFileError: so few of the wanted tiles are in the file that a picture would only be made up, in
    as much time as a whole one takes. A file of 32 bytes can promise 512 megapixels.
    """
    readable = sum((container.TILE, number) in file.chunks for number in numbers)
    if readable * MAX_LOST_PER_TILE < len(numbers):
        if readable == 0:
            raise CompressedFileError(
                "damaged: none of its {tiles:,} tiles can be read",
                id="compressed-file.tiles-all-lost",
                tiles=len(numbers),
            )
        raise CompressedFileError(
            "damaged: only {kept:,} of its {tiles:,} tiles can be read",
            id="compressed-file.tiles-lost",
            tiles=len(numbers),
            kept=readable,
        )


def _payload(file: Container, tag: bytes, number: int) -> memoryview:
    payload = file.chunks.get((tag, number))
    if payload is None:
        raise CompressedFileError(
            "damaged: {name} is missing",
            id="compressed-file.part-missing",
            name=container.name_chunk(tag, number),
        )
    return payload
