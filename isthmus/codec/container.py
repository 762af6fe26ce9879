"""The file: a fixed header, then checked chunks. It reads and writes bytes; the modules that use the chunks
know their meaning.

docs/reference/format.md is the specification. Memory is never allocated by a size in the file alone: each is
compared with a limit and with the length of the file.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from isthmus.errors import DataError
from isthmus.installation import upgrade_hint
from isthmus.messages import Message
from isthmus.wording import choose_word, format_count

MAGIC = b"\x89IST"
VERSION = 1
IMAGE = 1  # the kind of file; 2 is kept for archives
MAX_PIXELS = 512_000_000
MAX_TILES = 65_535
MAX_CHUNK = 2**24 - 1
TILE_SIDES = (1, 4096)
SUFFIX = ".isth"

PREVIEW, ICC, EXIF, TILE, ALPHA = b"P", b"I", b"E", b"T", b"A"
_NAMES = {TILE: "tile", ALPHA: "alpha tile", ICC: "colour profile", EXIF: "EXIF block", PREVIEW: "preview"}
_FLAGS = {ALPHA: 1, ICC: 2, EXIF: 4, PREVIEW: 8}
_HEADER = struct.Struct("<4sBBBBIIHH8s")
_CHUNK = struct.Struct("<cH3sI")
HEADER_BYTES = _HEADER.size + 4
CHUNK_BYTES = _CHUNK.size + 2

Key = tuple[bytes, int]


class CompressedFileError(DataError):
    """Not a compressed image, damaged, above a limit, or from a later version.

    Attributes:
        reason: where the message begins with a file's name, the rest of it.
    """

    reason: Message | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerHeader:
    """The fixed fields.

    Attributes:
        size: (height, width) of the picture.
        channels: 1 gray, 3 colour; alpha is not counted.
        quality: hundredths, 100 to 10000.
        tile: side of a tile in pixels.
        model: first 8 bytes of the model's hash.
        alpha, icc, exif, preview: whether the file holds these chunks.
    """

    size: tuple[int, int]
    channels: int
    quality: int
    tile: int
    model: bytes
    alpha: bool = False
    icc: bool = False
    exif: bool = False
    preview: bool = False

    @property
    def rows_and_columns(self) -> tuple[int, int]:
        """How many tiles there are down and across; tile `n` stands in row n // columns."""
        return -(-self.size[0] // self.tile), -(-self.size[1] // self.tile)

    @property
    def tiles(self) -> int:
        rows, columns = self.rows_and_columns
        return rows * columns

    def expected_chunks(self) -> list[Key]:
        """Tag and number of every chunk, in the order of the file."""
        single = [
            tag
            for tag, is_present in ((PREVIEW, self.preview), (ICC, self.icc), (EXIF, self.exif))
            if is_present
        ]
        kinds = (TILE, ALPHA) if self.alpha else (TILE,)
        return [(tag, 0) for tag in single] + [(tag, n) for n in range(self.tiles) for tag in kinds]


@dataclass(frozen=True)
class Damage:
    """A lost chunk and the reason. `number` is that of the tile, for chunks of tiles and of their alpha."""

    tag: bytes
    number: int
    reason: str

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> Message:
        return Message(
            "{part} {reason}",
            id="compressed-file.damage",
            part=name_chunk(self.tag, self.number),
            reason=self.reason,
        )


@dataclass(frozen=True)
class Container:
    """A file taken apart: views into its bytes by (tag, number), and what is missing."""

    header: ContainerHeader
    chunks: Mapping[Key, memoryview]
    damage: tuple[Damage, ...] = ()


def name_chunk(tag: bytes, number: int) -> str:
    """A chunk as people call it, for example "tile 7"."""
    return f"{_NAMES[tag]} {number}" if tag in (TILE, ALPHA) else _NAMES[tag]


def write_container(header: ContainerHeader, chunks: Iterable[bytes]) -> bytes:
    """The file. `chunks` are the payloads in the order of `header.expected()`.

    Raises:
        ValueError: another number of payloads, or one of 16 MiB or more.
    """
    parts = [pack_header(header)]
    for (tag, number), payload in zip(header.expected_chunks(), chunks, strict=True):
        parts += [pack_chunk(tag, number, payload), payload]
    return b"".join(parts)


def pack_header(header: ContainerHeader) -> bytes:
    """The fixed fields with their checksum, `HEADER_BYTES` long."""
    has = {ALPHA: header.alpha, ICC: header.icc, EXIF: header.exif, PREVIEW: header.preview}
    flags = sum(bit for tag, bit in _FLAGS.items() if has[tag])
    height, width = header.size
    fixed = _HEADER.pack(
        MAGIC,
        VERSION,
        IMAGE,
        flags,
        header.channels,
        width,
        height,
        header.quality,
        header.tile,
        header.model,
    )
    return fixed + struct.pack("<I", binascii.crc32(fixed))


def pack_chunk(tag: bytes, number: int, payload: bytes) -> bytes:
    """The head of a chunk, `CHUNK_BYTES` long; the payload follows it."""
    if len(payload) > MAX_CHUNK:
        raise ValueError(f"a chunk holds at most {MAX_CHUNK} bytes, not {len(payload)}")
    start = _CHUNK.pack(tag, number, len(payload).to_bytes(3, "little"), binascii.crc32(payload))
    return start + struct.pack("<H", binascii.crc_hqx(start, 0xFFFF))


def read_header(data: bytes | memoryview, *, max_pixels: int = MAX_PIXELS) -> ContainerHeader:
    """The fixed fields, checked.

    Raises:
        CompressedFileError: see the class.
    """
    if bytes(data[: len(MAGIC)]) != MAGIC:
        if not len(data):
            raise CompressedFileError("empty (0 bytes)", id="image-file.empty")
        raise CompressedFileError("not a compressed image of isthmus", id="compressed-file.other-format")
    if len(data) < HEADER_BYTES:
        raise CompressedFileError(
            "cut short: {bytes}, and its header alone has {header_bytes}",
            id="compressed-file.short-header",
            bytes=format_count(len(data), "byte"),
            header_bytes=HEADER_BYTES,
        )
    fixed = bytes(data[: _HEADER.size])
    _, version, kind, flags, channels, width, height, quality, tile, model = _HEADER.unpack(fixed)
    if struct.pack("<I", binascii.crc32(fixed)) != bytes(data[_HEADER.size : HEADER_BYTES]):
        raise CompressedFileError(
            "damaged: its header does not match its checksum", id="compressed-file.header-checksum"
        )
    if version > VERSION or (version == VERSION and kind != IMAGE):
        raise CompressedFileError(
            "written by a later version of isthmus (format {version}.{kind}, this one reads {supported}.1)",
            id="compressed-file.later-version",
            hint=upgrade_hint(),
            version=version,
            kind=kind,
            supported=VERSION,
        )
    is_valid = version == VERSION and not flags & ~sum(_FLAGS.values()) and channels in (1, 3)
    if not (is_valid and width and height and 100 <= quality <= 10_000):
        raise CompressedFileError(
            "damaged: a field of its header is out of range", id="compressed-file.header-range"
        )
    if not TILE_SIDES[0] <= tile <= TILE_SIDES[1]:
        raise CompressedFileError(
            "damaged: tiles of {tile} pixels", id="compressed-file.tile-size", tile=tile
        )
    if width * height > max_pixels:
        limit = f"{max_pixels / 1e6:g} megapixels, the limit of max_pixels"
        raise CompressedFileError(
            "{width}×{height} pixels are more than {most}",
            id="compressed-file.too-many-pixels",
            width=width,
            height=height,
            most=limit,
        )
    header = ContainerHeader(
        size=(height, width),
        channels=channels,
        quality=quality,
        tile=tile,
        model=model,
        alpha=bool(flags & _FLAGS[ALPHA]),
        icc=bool(flags & _FLAGS[ICC]),
        exif=bool(flags & _FLAGS[EXIF]),
        preview=bool(flags & _FLAGS[PREVIEW]),
    )
    if header.tiles > MAX_TILES:
        raise CompressedFileError(
            "damaged: {tiles:,} tiles are more than {most:,}, the limit",
            id="compressed-file.too-many-tiles",
            tiles=header.tiles,
            most=MAX_TILES,
        )
    return header


def read_container(data: bytes, *, max_pixels: int = MAX_PIXELS, keep_going: bool = False) -> Container:
    """Take a file apart; every chunk is held against its checksum.

    Args:
        data: the whole file.
        max_pixels: larger pictures are refused from the header.
        keep_going: list lost chunks in `damage` instead of raising; the header must be whole.

    Raises:
        CompressedFileError: see the class; without `keep_going` also for any damage at all.
    """
    header = read_header(data, max_pixels=max_pixels)
    view = memoryview(data)
    keys = header.expected_chunks()
    if not keep_going:
        return Container(header, _parse_chunks(view, keys))
    chunks = _recover_chunks(view, set(keys))
    lost = tuple(
        Damage(*key, Message("is damaged or missing", id="compressed-file.part-damaged"))
        for key in keys
        if key not in chunks
    )
    return Container(header, chunks, lost)


def _parse_chunks(view: memoryview, keys: list[Key]) -> dict[Key, memoryview]:
    chunks: dict[Key, memoryview] = {}
    position = HEADER_BYTES
    for key in keys:
        name = name_chunk(*key)
        if position + CHUNK_BYTES > len(view):
            raise CompressedFileError(
                "cut short: {name} is missing", id="compressed-file.chunk-missing", name=name
            )
        chunk = _chunk_at(view, position)
        if chunk is None:
            raise CompressedFileError(
                "damaged: the head of {name} does not match its checksum",
                id="compressed-file.chunk-head-checksum",
                name=name,
            )
        end = position + CHUNK_BYTES + chunk[1]
        if chunk[0] != key:
            raise CompressedFileError(
                "damaged: another chunk stands where {name} belongs",
                id="compressed-file.chunk-order",
                name=name,
            )
        if end > len(view):
            raise CompressedFileError(
                "cut short: {name} lacks {bytes}",
                id="compressed-file.chunk-short",
                name=name,
                bytes=format_count(end - len(view), "byte"),
            )
        chunks[key] = view[position + CHUNK_BYTES : end]
        if binascii.crc32(chunks[key]) != chunk[2]:
            raise CompressedFileError(
                "damaged: {name} does not match its checksum", id="compressed-file.chunk-checksum", name=name
            )
        position = end
    if position != len(view):
        raise CompressedFileError(
            "damaged: {bytes} {verb} its end",
            id="compressed-file.bytes-after-end",
            bytes=format_count(len(view) - position, "byte"),
            verb=choose_word(len(view) - position, "follows", "follow"),
        )
    return chunks


def _recover_chunks(view: memoryview, keys: set[Key]) -> dict[Key, memoryview]:
    """Every intact chunk; after a broken one, the next is searched for byte by byte."""
    chunks: dict[Key, memoryview] = {}
    position = HEADER_BYTES
    # Well-made heads of chunks that overlap must not cost more than reading the file a few times.
    left = 4 * len(view)
    tags = re.compile(b"[" + b"".join(_NAMES) + b"]")
    while position + CHUNK_BYTES <= len(view) and left > 0:
        chunk = _chunk_at(view, position)
        if chunk is not None and chunk[0] in keys and position + CHUNK_BYTES + chunk[1] <= len(view):
            payload = view[position + CHUNK_BYTES : position + CHUNK_BYTES + chunk[1]]
            left -= CHUNK_BYTES + len(payload)
            if binascii.crc32(payload) == chunk[2]:
                chunks.setdefault(chunk[0], payload)
                position += CHUNK_BYTES + len(payload)
                continue
        match = tags.search(view, position + 1)
        if match is None:
            break
        position = match.start()
    return chunks


def _chunk_at(view: memoryview, position: int) -> tuple[Key, int, int] | None:
    """Key, length and checksum of the chunk whose head begins here; None where none does."""
    head = bytes(view[position : position + CHUNK_BYTES])
    if struct.pack("<H", binascii.crc_hqx(head[:-2], 0xFFFF)) != head[-2:]:
        return None
    tag, number, length, checksum = _CHUNK.unpack(head[:-2])
    return (tag, number), int.from_bytes(length, "little"), checksum
