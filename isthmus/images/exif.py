"""EXIF blocks (CIPA DC-008): copied byte for byte, except for the orientation and the embedded thumbnail.

Pixels are turned upright when they are read, and restoration changes them. A remaining orientation would turn
them again, and a thumbnail would show the old image.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from typing import IO

from PIL import Image

from isthmus.images.ifd import (
    Directory,
    DirectoryReader,
    Entry,
    Order,
    long_entry,
    pack_directory,
    to_classic,
)

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
_EXIF, _GPS, _INTEROP = 0x8769, 0x8825, 0xA005
_THUMBNAIL, _THUMBNAIL_BYTES = 0x0201, 0x0202
# TIFF tags that describe how a file lays out its pixels, its resolution, and what is kept elsewhere (XMP, ICC
# profile, Photoshop's resources): true of no other file.
_LAYOUT_TAGS = frozenset(
    {
        *range(254, 260),
        *range(262, 267),
        273,
        ORIENTATION,
        *range(277, 285),
        290,
        291,
        292,
        293,
        296,
        317,
        320,
    }
    | {*range(322, 326), 330, *range(332, 348), *range(512, 533), 700, 34377, 34675, 32997, 37724}
    | {_EXIF, _GPS, 50838, 50839}
)
# Descriptions of the arrangement of pages, which other pages no longer have.
_ARRANGEMENTS = (b"ImageJ=", b'{"shape"', b"<?xml", b"<OME")
_DESCRIPTION = 270


@dataclass(frozen=True)
class ExifTags:
    """The entries of an EXIF block: of the image, of the photograph, of the place."""

    order: Order
    image: tuple[Entry, ...]
    photograph: tuple[Entry, ...] = ()
    interoperability: tuple[Entry, ...] = ()
    place: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.image or self.photograph or self.place)

    def pack(self) -> bytes:
        """As a block that stands alone."""
        header = (b"II*\0" if self.order == "<" else b"MM\0*") + struct.pack(self.order + "I", 8)
        return PREFIX + header + self.pack_at(8, self.image)

    def pack_at(self, offset: int, image: tuple[Entry, ...]) -> bytes:
        """The directories, the first of which, with the entries `image`, stands at `offset`."""
        order = self.order
        image = tuple(entry for entry in image if entry.tag not in (_EXIF, _GPS))
        pointers: list[Entry] = []
        below = b""
        # The first directory has a fixed length once it is known which pointers it holds.
        tags = [tag for tag, part in ((_EXIF, self.photograph), (_GPS, self.place)) if part]
        blank = [*image, *(long_entry(tag, 0, order) for tag in tags)]
        start = offset + len(pack_directory(blank, order, offset))
        if self.photograph:
            pointers.append(long_entry(_EXIF, start, order))
            own = list(self.photograph)
            if self.interoperability:
                size = len(pack_directory([*own, long_entry(_INTEROP, 0, order)], order, start))
                own.append(long_entry(_INTEROP, start + size, order))
                below = pack_directory(own, order, start)
                below += pack_directory(list(self.interoperability), order, start + size)
            else:
                below = pack_directory(own, order, start)
        if self.place:
            pointers.append(long_entry(_GPS, start + len(below), order))
            below += pack_directory(list(self.place), order, start + len(below))
        return pack_directory([*image, *pointers], order, offset) + below


def read_orientation(block: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block; 1 where there is none."""
    try:
        reader = DirectoryReader.open(io.BytesIO(block.removeprefix(PREFIX)))
        orientation = reader.read(reader.first, only=frozenset({ORIENTATION})).number(ORIENTATION, 1)
    except (ValueError, struct.error):
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def clean_block(block: bytes) -> bytes | None:
    """An EXIF block without orientation and thumbnail; all else keeps its bytes and its place.

    So offsets within a maker's note stay valid. None where nothing is left.
    """
    content = bytearray(block.removeprefix(PREFIX))
    try:
        reader = DirectoryReader.open(io.BytesIO(bytes(content)))
        directory = reader.read(reader.first)
    except (ValueError, struct.error):
        return None if not content or _turns(PREFIX + bytes(content)) else PREFIX + bytes(content)
    _blank_thumbnail(content, reader, directory)
    order, first = reader.order, reader.first
    count = struct.unpack_from(order + "H", content, first)[0]
    end = first + 2 + 12 * count
    rows = [
        bytes(content[offset : offset + 12]) for offset in range(first + 2, min(end, len(content) - 11), 12)
    ]
    rows_left = [row for row in rows if struct.unpack_from(order + "H", row)[0] != ORIENTATION]
    if not rows_left:
        return None
    table = struct.pack(order + "H", len(rows_left)) + b"".join(rows_left) + b"\0\0\0\0"
    content[first : min(end + 4, len(content))] = table.ljust(min(end + 4, len(content)) - first, b"\0")
    cleaned = PREFIX + bytes(content)
    return None if _turns(cleaned) else cleaned


def _turns(block: bytes) -> bool:
    """Whether a lenient reader finds an orientation in a damaged block."""
    exif = Image.Exif()
    try:
        exif.load(block)
        return int(exif.get(ORIENTATION, 1)) != 1
    except Exception:  # as where images are read: a broken block has none
        return False


def _blank_thumbnail(content: bytearray, reader: DirectoryReader, directory: Directory) -> None:
    if not directory.following:
        return
    try:
        small = reader.read(directory.following)
    except ValueError:
        return
    start, size = small.number(_THUMBNAIL), small.number(_THUMBNAIL_BYTES)
    if 0 < start < start + size <= len(content):
        if start + size == len(content):
            del content[start:]
        else:
            content[start : start + size] = bytes(size)


def read_tags(stream: IO[bytes]) -> ExifTags | None:
    """The metadata of the first picture of a TIFF file, classic or BigTIFF."""
    try:
        reader = DirectoryReader.open(stream)
        first = reader.read(reader.first)
    except (ValueError, struct.error):
        return None
    tags = ExifTags(reader.order, _classic(first, without=_LAYOUT_TAGS))
    photograph = _read_below(reader, first, _EXIF)
    if photograph is not None:
        related = _read_below(reader, photograph, _INTEROP)
        tags = replace(
            tags,
            photograph=_classic(photograph, without=frozenset({_INTEROP})),
            interoperability=() if related is None else _classic(related),
        )
    place = _read_below(reader, first, _GPS)
    return tags if place is None else replace(tags, place=_classic(place))


def parse_block(block: bytes) -> ExifTags | None:
    """The entries of an EXIF block; None where it is damaged."""
    return read_tags(io.BytesIO(block.removeprefix(PREFIX)))


def _read_below(reader: DirectoryReader, directory: Directory, tag: int) -> Directory | None:
    offset = directory.number(tag)
    if not offset:
        return None
    try:
        return reader.read(offset)
    except (ValueError, struct.error):
        return None


def _classic(directory: Directory, *, without: frozenset[int] = frozenset()) -> tuple[Entry, ...]:
    entries = []
    for entry in directory.entries.values():
        arranged = entry.tag == _DESCRIPTION and entry.data.lstrip().startswith(_ARRANGEMENTS)
        narrow = to_classic(entry, directory.order)
        if entry.tag not in without and not arranged and narrow is not None:
            entries.append(narrow)
    return tuple(entries)
