"""Small PNG files are read many at a time, and what comes out is what Pillow gives for each alone."""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from isthmus.errors import DataError
from isthmus.images.formats import decode
from isthmus.images.plain_png import decode_plain, read_plain, read_small
from isthmus.images.runs import ReadOptions

from .files import photo, save
from .folders import read_folder

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(image: np.ndarray, *, filters: Sequence[int], before: bytes = b"", parts: int = 1) -> bytes:
    """A PNG file of an (H, W, C) image whose rows take turns with these filters (PNG, section 9.2)."""
    height, width, channels = image.shape
    rows, above = [], np.zeros((width + 1, channels), int)
    for y in range(height):
        row = np.concatenate([np.zeros((1, channels), int), image[y]])
        left, corner = row[:-1], above[:-1]
        distances = np.abs([above[1:] - corner, left - corner, left + above[1:] - 2 * corner])
        paeth = np.where(
            (distances[0] <= distances[1]) & (distances[0] <= distances[2]),
            left,
            np.where(distances[1] <= distances[2], above[1:], corner),
        )
        kind = filters[y % len(filters)]
        predicted = [0, left, above[1:], (left + above[1:]) // 2, paeth][kind]
        rows.append(bytes([kind]) + ((row[1:] - predicted) % 256).astype(np.uint8).tobytes())
        above = row
    data = zlib.compress(b"".join(rows))
    cuts = np.linspace(0, len(data), parts + 1).astype(int)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    pieces = [chunk(b"IDAT", data[a:b]) for a, b in itertools.pairwise(cuts)]
    return SIGNATURE + chunk(b"IHDR", header) + before + b"".join(pieces) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_undone_however_images_are_stacked(tmp_path: Path, channels: int) -> None:
    random = np.random.default_rng(0)
    originals = []
    for number in range(40):
        height, width = (7, 5) if number % 9 else (3, 11)
        originals.append(random.integers(0, 256, (height, width, channels), dtype=np.uint8))
        filters = [[0], [1], [2], [3], [4], [4, 1, 3, 0, 2]][number % 6]
        content = png(originals[-1], filters=filters, parts=1 + number % 3)
        assert read_plain(content, max_pixels=100) is not None
        (tmp_path / f"{number:02}.png").write_bytes(content)
    images = read_folder(tmp_path)
    assert all(np.array_equal(images.image(i), original) for i, original in enumerate(originals))


def test_a_wrong_byte_anywhere_is_judged_as_by_pillow_alone(tmp_path: Path) -> None:
    dots = chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    good = png(photo(6, 5, 1), filters=[4, 1, 2], before=dots)
    for place in range(len(good)):
        for change in (1, 255):
            wrong = bytes([*good[:place], good[place] ^ change, *good[place + 1 :]])
            (tmp_path / f"{place:03}-{change}.png").write_bytes(wrong)
    images = read_folder(tmp_path, ReadOptions(channels=3))
    reasons = {skipped.name: skipped.reason for skipped in images.skipped}
    assert 50 < len(reasons) < 2 * len(good)
    for path in sorted(tmp_path.glob("*.png")):
        if path.name in reasons:
            with pytest.raises(DataError) as caught:
                decode(path)
            assert caught.value.message == f"{path}: {reasons[path.name]}"
        else:
            expected = decode(path)
            pixels = images.image(images.names.index(path.name))
            assert np.array_equal(pixels, np.broadcast_to(expected, (*expected.shape[:2], 3)))


def test_what_a_file_holds_beside_its_pixels_is_heeded(tmp_path: Path) -> None:
    turned, said, unsaid = Image.Exif(), PngInfo(), PngInfo()
    turned[0x0112] = 6
    said.add_text("Software", "a program")
    unsaid.add_text("XML:com.adobe.xmp", '<x:xmpmeta xmlns:x="a" tiff:Orientation="8"/>')
    pixels = photo(8, 12)
    save(tmp_path / "clear.png", pixels, transparency=tuple(int(v) for v in pixels[0, 0]))
    save(tmp_path / "turned.png", pixels, exif=turned)
    save(tmp_path / "said.png", pixels, pnginfo=said, dpi=(72, 72))
    save(tmp_path / "unsaid.png", pixels, pnginfo=unsaid)
    save(tmp_path / "film.png", pixels, save_all=True, append_images=[Image.fromarray(photo(8, 12, seed=1))])
    images = read_folder(tmp_path)
    for index, name in enumerate(images.names):
        assert np.array_equal(images.image(index), decode(tmp_path / name)), name
    assert images.image(images.names.index("turned.png")).shape == (12, 8, 3)
    assert [note.split(":")[0] for note in images.notes[:2]] == [
        "1 of 5 images has transparent parts",
        "1 of 5 files holds several pages or frames",
    ]


def test_rows_that_unpack_to_far_more_than_promised_are_not_unpacked(tmp_path: Path) -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(2**23)))
    path = tmp_path / "a.png"
    path.write_bytes(SIGNATURE + header + data + chunk(b"IEND", b""))
    plain = read_plain(read_small(path) or b"", max_pixels=100)
    assert plain is not None
    with pytest.raises(ValueError, match="another number of rows"):
        decode_plain([plain])
    assert np.array_equal(read_folder(tmp_path).image(0), decode(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    save(tmp_path / "b.png", photo(4, 4))
    images = read_folder(tmp_path)
    assert images.names == ("b.png",)
    assert [skipped.name for skipped in images.skipped] == ["a.png"]
