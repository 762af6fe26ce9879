"""PNG files where Pillow falls short: chunks as bytes, and 16 bits in colour (PNG, third edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np

from isthmus.images.store import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Chunk = tuple[bytes, bytes]
_MAX_CHUNK_BYTES = 2**26
_HEADER_END = 8 + 25  # signature and IHDR


def read_chunks(stream: IO[bytes], kinds: frozenset[bytes]) -> Iterator[Chunk]:
    """Kind and body of each chunk of these kinds whose checksum is right, in their order."""
    if stream.read(8) != SIGNATURE:
        return
    while len(head := stream.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind not in kinds or size > _MAX_CHUNK_BYTES:
            stream.seek(size + 4, 1)
            continue
        body, checksum = stream.read(size), stream.read(4)
        if len(checksum) == 4 and zlib.crc32(kind + body) == struct.unpack(">I", checksum)[0]:
            yield kind, body


def insert_chunks(png: bytes, chunks: Sequence[Chunk]) -> bytes:
    """The file with further chunks behind its header."""
    return png[:_HEADER_END] + pack_chunks(chunks) + png[_HEADER_END:]


def drop_chunks(png: bytes, kinds: Iterable[bytes]) -> bytes:
    """The file without the chunks of these kinds."""
    unwanted = frozenset(kinds)
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        if kind not in unwanted:
            kept.append(png[at : at + 12 + size])
        at += 12 + size
    return b"".join(kept)


def pack_chunks(chunks: Iterable[Chunk]) -> bytes:
    """Chunks as they stand in a file."""
    return b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def text_chunk(keyword: str, text: str) -> Chunk:
    """An uncompressed international text."""
    return b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def encode_deep_png(samples: Pixels) -> bytes:
    """(H, W, 1 to 4) uint16 as a PNG of 16 bits, with the filter Sub: differences of neighbours in a row."""
    height, width, channels = samples.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    data = samples.astype(">u2").reshape(height, -1).view(np.uint8)
    filtered = np.ones((height, 1 + data.shape[1]), np.uint8)
    filtered[:, 1:] = data
    filtered[:, 1 + 2 * channels :] -= data[:, : -2 * channels]
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    pixels = zlib.compress(filtered.tobytes(), 6)
    return SIGNATURE + pack_chunks([(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")])
