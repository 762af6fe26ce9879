"""PNG files where Pillow falls short: chunks as bytes, and 16 bits in colour (PNG, third edition)."""

from __future__ import annotations

import io
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
# Adam7: first column and row of a pass, and its steps.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def read_chunks(stream: IO[bytes], kinds: frozenset[bytes] | None = None) -> Iterator[Chunk]:
    """Kind and body of each chunk of these kinds, or of all, whose checksum is right, in their order. Without
    kinds, pixels are passed over.
    """
    if stream.read(8) != SIGNATURE:
        return
    while len(head := stream.read(8)) == 8:
        size, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        is_wanted = kind in kinds if kinds is not None else kind not in (b"IDAT", b"fdAT")
        if not is_wanted or size > _MAX_CHUNK_BYTES:
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
    parts, offset = [png[:8]], 8
    while offset + 12 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, offset)
        if kind not in unwanted:
            parts.append(png[offset : offset + 12 + size])
        offset += 12 + size
    return b"".join(parts)


def pack_chunks(chunks: Iterable[Chunk]) -> bytes:
    """Chunks as they stand in a file."""
    return b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def text_chunk(keyword: str, text: str) -> Chunk:
    """An uncompressed international text."""
    return b"iTXt", keyword.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")


def decode_deep_png(content: bytes) -> Pixels:
    """(H, W, C) uint16 of a PNG of 16 bits, also interlaced; a transparent colour becomes alpha.

    libpng gets no other chunks, because it prints warnings about them.

    Raises:
        ValueError, RuntimeError: damaged.
    """
    import imagecodecs

    chunks = list(read_chunks(io.BytesIO(content), frozenset({b"IHDR", b"tRNS", b"IDAT"})))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("no header")
    width, height, bits, colour, *methods, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    rest = chunks[1:]
    if not interlaced:
        return np.asarray(imagecodecs.png_decode(SIGNATURE + pack_chunks([*chunks, (b"IEND", b"")])))
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    size = height * (1 + 2 * width * channels) + 7 * (height + 1)  # at most
    rows = zlib.decompressobj().decompress(b"".join(body for kind, body in rest if kind == b"IDAT"), size)
    keys = [(kind, body) for kind, body in rest if kind == b"tRNS"]
    image: Pixels | None = None
    offset = 0
    for left, top, across, down in _PASSES:
        shape = (-(-(height - top) // down), -(-(width - left) // across))
        if min(shape) <= 0:
            continue
        end = offset + shape[0] * (1 + 2 * channels * shape[1])
        if end > len(rows):
            raise ValueError("fewer rows than the header promises")
        header = struct.pack(">IIBBBBB", shape[1], shape[0], bits, colour, *methods, 0)
        parts = [(b"IHDR", header), *keys, (b"IDAT", zlib.compress(rows[offset:end], 0)), (b"IEND", b"")]
        part = np.asarray(imagecodecs.png_decode(SIGNATURE + pack_chunks(parts)))
        part = part.reshape(*shape, -1)
        if image is None:
            image = np.zeros((height, width, part.shape[2]), np.uint16)
        image[top::down, left::across] = part
        offset = end
    if image is None:
        raise ValueError("no pixels")
    return image


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
