"""The transparent colour of a PNG, of every depth; bits beyond the depth do not count."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from isthmus.images.modes import scale_key
from isthmus.images.png_chunks import SIGNATURE, pack_chunks
from isthmus.images.sources import decode_source

RANDOM = np.random.default_rng(0)


def png(bits: int, samples: np.ndarray, key: tuple[int, ...]) -> bytes:
    """A PNG of gray or colour with a transparent colour as it is given."""
    height, width = samples.shape[:2]
    rows = []
    for row in samples.reshape(height, -1):
        spread = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
        rows.append(b"\0" + np.packbits(spread.astype(np.uint8)).tobytes())
    header = struct.pack(">IIBBBBB", width, height, bits, 0 if len(key) == 1 else 2, 0, 0, 0)
    return SIGNATURE + pack_chunks(
        [
            (b"IHDR", header),
            (b"tRNS", struct.pack(f">{len(key)}H", *key)),
            (b"IDAT", zlib.compress(b"".join(rows))),
            (b"IEND", b""),
        ]
    )


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("high", [0, 0x5A00, 0xFFFF])
@pytest.mark.parametrize("place", [(0, 0), (3, 4), (8, 10)])
def test_gray(bits: int, high: int, place: tuple[int, int]) -> None:
    samples = RANDOM.integers(0, 2**bits, (9, 11))
    key = int(samples[place])
    pixels = decode_source(png(bits, samples, (key | (high << bits) & 0xFFFF,)), alpha="keep")
    top = np.iinfo(pixels.dtype).max
    assert np.array_equal(pixels[..., 0], samples * top // (2**bits - 1))
    assert np.array_equal(pixels[..., 1], np.where(samples == key, 0, top))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("high", [0, 0x5A00])
def test_colour(bits: int, high: int) -> None:
    samples = RANDOM.integers(0, 2**bits, (9, 11, 3))
    samples[0, :3] = samples[4, 5]
    key = tuple(int(level) | (high << bits) & 0xFFFF for level in samples[4, 5])
    pixels = decode_source(png(bits, samples, key), alpha="keep")
    top = np.iinfo(pixels.dtype).max
    assert np.array_equal(pixels[..., :3], samples)
    assert np.array_equal(pixels[..., 3], np.where((samples == samples[4, 5]).all(2), 0, top))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_colour_that_pillow_has_opened(bits: int, times: int) -> None:
    samples = RANDOM.integers(0, 2**bits, (9, 11, 3))
    samples[0, :3] = samples[4, 5]
    image = Image.open(io.BytesIO(png(bits, samples, tuple(int(level) for level in samples[4, 5]))))
    for _ in range(times):
        scale_key(image)
    for _ in range(2):
        pixels = decode_source(image, alpha="keep")
        eight = samples >> (bits - 8)
        assert np.array_equal(pixels[..., :3], eight)
        assert np.array_equal(pixels[..., 3], np.where((eight == eight[4, 5]).all(2), 0, 255))
