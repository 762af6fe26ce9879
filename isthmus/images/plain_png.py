"""Small plain PNG files, many decoded at a time.

Opening a PNG of a few hundred bytes with Pillow costs several times what its pixels do. A file is plain when
it is an 8-bit gray or RGB image, not interlaced, every checksum is right, and all other chunks change nothing
here (PNG, third edition, sections 5 and 11). Other files, and broken ones, are left to `formats`, which
decides whether they can be read.
"""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from struct import Struct

import numpy as np
from PIL import Image

from isthmus.images.formats import Header
from isthmus.images.opening import Member
from isthmus.images.store import Pixels

SMALL_BYTES = 2**16  # the cost of opening a larger file is small compared with its pixels
# Do not wait for a named pipe, nor make a device the process's terminal; Windows has a text mode.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
MOST_PIXELS = 2**15
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_IHDR = Struct(">I4sIIBBBBBI")
_CHUNK = Struct(">I4s")
_CRC = Struct(">I")
_CHANNELS = {0: 1, 2: 3}
_MODES = {1: "L", 3: "RGB"}
# Resolution, time and hints about colour, which readers here ignore, and the minimum length of each.
_LEAST_BYTES = {b"pHYs": 9, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"tIME": 7, b"bKGD": 0, b"sBIT": 0}
# Keywords of text (PNG, section 11.3.3, and ImageMagick's); others may hold EXIF or a profile.
_REMARKS = frozenset(
    {b"Title", b"Author", b"Description", b"Copyright", b"Creation Time", b"Software", b"Source", b"Comment"}
    | {b"date:create", b"date:modify", b"date:timestamp"}
)


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain file: its header and its compressed rows (empty where they are to be read again)."""

    header: Header
    data: bytes


def read_small(source: str | Path | Member) -> bytes | None:
    """All bytes of a regular file of at most `SMALL_BYTES`; None if it is another or cannot be read."""
    try:
        if isinstance(source, Member):
            if source.size > SMALL_BYTES:
                return None
            with source.archive.open("rb") as stream:
                return source.read_from(stream)
        descriptor = os.open(source, _FLAGS)
        try:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > SMALL_BYTES:
                return None
            return os.read(descriptor, facts.st_size)
        finally:
            os.close(descriptor)
    except (OSError, ValueError, OverflowError):
        return None


def read_plain(content: bytes, *, max_pixels: int) -> Plain | None:
    """The header and compressed rows in a file's bytes; None unless it is plain and within `max_pixels`."""
    if not content.startswith(_SIGNATURE) or not content.endswith(_END):
        return None
    if len(content) < 57:  # signature, IHDR, an empty IDAT and IEND
        return None
    *start, width, height, bits, colour, method, filters, interlaced, crc = _IHDR.unpack_from(content, 8)
    if start != [13, b"IHDR"] or (bits, method, filters, interlaced) != (8, 0, 0, 0):
        return None
    if colour not in _CHANNELS or not 0 < width * height <= min(MOST_PIXELS, max_pixels):
        return None
    if crc != zlib.crc32(content[12:29]):
        return None
    data = _compressed_rows(content)
    return None if data is None else Plain(_header(height, width, _CHANNELS[colour]), data)


def decode_plain(several: Sequence[Plain]) -> Pixels:
    """(n, H, W, C) uint8 from plain files of one size and colour.

    Filters are undone by Pillow's own decoder, in one pass over all images: they stand below one another as
    if they were one, with an empty row above each, for the row above the first counts as zeros (PNG, section
    9.2).

    Raises:
        ValueError: the rows of one of them are damaged.
    """
    header = several[0].header
    size = header.height * (1 + header.width * header.channels)
    above = bytes(1 + header.width * header.channels)
    rows = []
    for png in several:
        stream = zlib.decompressobj()
        try:
            unpacked = stream.decompress(png.data, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(unpacked) != size or not stream.eof or stream.unused_data:
            raise ValueError("another number of rows than the header says")
        rows += [above, unpacked]
    tall = len(several) * (header.height + 1)
    mode = _MODES[header.channels]
    try:
        stacked = Image.frombytes(mode, (header.width, tall), zlib.compress(b"".join(rows), 0), "zip", mode)
    except OSError as error:
        raise ValueError(str(error)) from None
    pixels = np.asarray(stacked).reshape(len(several), header.height + 1, header.width, header.channels)
    return np.ascontiguousarray(pixels[:, 1:])


def _compressed_rows(content: bytes) -> bytes | None:
    """The IDAT chunks' data, if they come last, all checksums are right and the other chunks are harmless."""
    parts: list[bytes] = []
    offset, end = 33, len(content) - len(_END)
    while offset < end:
        if end - offset < 12:
            return None
        length, kind = _CHUNK.unpack_from(content, offset)
        last = offset + 8 + length
        if last + 4 > end or _CRC.unpack_from(content, last)[0] != zlib.crc32(content[offset + 4 : last]):
            return None
        if kind == b"IDAT":
            parts.append(content[offset + 8 : last])
        elif parts or not _harmless(kind, content[offset + 8 : last]):
            return None
        offset = last + 4
    return (parts[0] if len(parts) == 1 else b"".join(parts)) or None


def _harmless(kind: bytes, body: bytes) -> bool:
    if kind == b"tEXt":
        return body.partition(b"\0")[0] in _REMARKS
    return kind in _LEAST_BYTES and len(body) >= _LEAST_BYTES[kind]


@lru_cache(maxsize=64)
def _header(height: int, width: int, channels: int) -> Header:
    return Header(
        height=height,
        width=width,
        channels=channels,
        dtype=np.dtype(np.uint8),
        format="PNG",
        transparent=False,
        narrowed=False,
        several=False,
    )
