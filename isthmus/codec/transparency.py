"""Transparency without loss: one plane of 8 bits per tile, filtered by rows and deflated (RFC 1950).

The filter is PNG's "Up" (ISO/IEC 15948, 9.2): each value minus the one above it, modulo 256.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from isthmus.codec.container import CompressedFileError

Plane = npt.NDArray[np.uint8]

_CONSTANT, _DEFLATED = 0, 1


def encode_plane(plane: Plane) -> bytes:
    """A plane (h, w) as bytes: one value where it is constant, else deflated."""
    if (plane == plane[0, 0]).all():
        return bytes((_CONSTANT, int(plane[0, 0])))
    filtered = plane.copy()
    filtered[1:] -= plane[:-1]
    return bytes((_DEFLATED,)) + zlib.compress(filtered.tobytes(), 9)


def decode_plane(data: bytes | memoryview, size: tuple[int, int]) -> Plane:
    """The inverse, for a plane of `size` (h, w). Never inflates more than that.

    Raises:
        CompressedFileError: not what `encode_plane` gives.
    """
    payload = bytes(data)
    if len(payload) == 2 and payload[0] == _CONSTANT:
        return np.full(size, payload[1], np.uint8)
    count = size[0] * size[1]
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(payload[1:], count + 1) if payload[:1] == bytes((_DEFLATED,)) else b""
    except zlib.error:
        plain = b""
    if len(plain) != count or not inflater.eof or inflater.unused_data:
        raise CompressedFileError(
            "damaged: its transparency cannot be decoded", id="compressed-file.transparency"
        )
    return np.cumsum(np.frombuffer(plain, np.uint8).reshape(size), axis=0, dtype=np.uint8)
