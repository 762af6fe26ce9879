"""One file in, pixels out: every kind, every mode, and every way of being broken."""

from __future__ import annotations

import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from isthmus.errors import DataError
from isthmus.images.formats import decode, glance, metadata, probe

from .files import bomb, cut, photo, save

EXACT = ["png", "webp", "tif", "bmp", "ppm", "jp2"]


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_give_the_pixels_back(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = photo(17, 23, channels)
    path = save(tmp_path / f"a.{suffix}", pixels, **({"lossless": True} if suffix == "webp" else {}))
    expected = pixels
    if suffix == "webp" and channels == 1:  # WebP has no gray mode
        expected = np.repeat(pixels, 3, axis=2)
    assert np.array_equal(decode(path), expected)


@pytest.mark.parametrize("suffix", ["jpg", "avif", "gif", "png", "webp", "tif", "bmp", "ppm", "jp2"])
def test_every_kind_is_read_near_to_what_was_written(tmp_path: Path, suffix: str) -> None:
    pixels = photo(32, 40, seed=3)
    path = save(tmp_path / f"a.{suffix}", pixels)
    header, image = probe(path), decode(path)
    assert image.shape == (header.height, header.width, header.channels) == pixels.shape
    assert image.dtype == header.dtype == np.uint8
    assert np.abs(image.astype(int) - pixels).mean() < 12


@pytest.mark.parametrize("suffix", ["jpg", "avif", "gif", "png", "webp", "tif", "bmp", "ppm", "jp2"])
@pytest.mark.parametrize("has_pixels", [False, True], ids=["from the file", "from its bytes"])
def test_header_and_pixels_at_once_are_those_of_two_looks(
    tmp_path: Path, suffix: str, has_pixels: bool
) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(photo(12, 20))
    more: dict[str, Any] = {"exif": exif.tobytes()} if suffix in ("jpg", "png", "webp", "tif") else {}
    if suffix in ("gif", "png", "webp", "tif"):
        picture.putalpha(128)
        frames = [Image.fromarray(photo(12, 20, seed=i)).convert("RGBA") for i in range(1, 3)]
        more |= {"save_all": True, "append_images": frames}
    picture.save(path, **more)
    content = path.read_bytes() if has_pixels else None
    header, pixels = glance(path, content, most_pixels=240)
    assert header == probe(path)
    assert isinstance(pixels, np.ndarray)
    assert np.array_equal(pixels, decode(path))
    assert glance(path, content, most_pixels=239) == (header, None)
    cut(path, 0.7)
    try:
        expected = decode(path).tolist()
    except DataError as error:
        expected = error.message
    try:
        _, early = glance(path, path.read_bytes() if has_pixels else None, most_pixels=240)
        early = early.tolist() if isinstance(early, np.ndarray) else f"{path}: {early}"
    except DataError as error:
        early = error.message
    assert early == expected


def test_the_content_not_the_suffix_decides(tmp_path: Path) -> None:
    save(tmp_path / "a.bmp", photo(4, 4)).rename(tmp_path / "a.png")
    assert probe(tmp_path / "a.png").format == "BMP"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_images_come_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    path = save(tmp_path / f"a.{suffix}", photo(16, 24), exif=exif.tobytes())
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode(path), expected)
    assert (probe(path).height, probe(path).width) == expected.shape[:2]
    exif_read, _ = metadata(path)
    assert exif_read is not None
    again = Image.Exif()
    again.load(exif_read)
    assert 0x0112 not in again
    assert again[0x010F] == "maker"


def test_palette_images_are_converted(tmp_path: Path) -> None:
    image = Image.fromarray(photo(9, 9)).quantize(16)
    image.save(tmp_path / "colour.png")
    assert np.array_equal(decode(tmp_path / "colour.png"), np.asarray(image.convert("RGB")))
    gray = Image.fromarray(photo(9, 9, 1)[:, :, 0]).quantize(16)
    gray.putpalette([v for i in range(256) for v in (i, i, i)])
    gray.save(tmp_path / "gray.png")
    assert probe(tmp_path / "gray.png").channels == decode(tmp_path / "gray.png").shape[2] == 1


def test_bilevel_images_are_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png")[..., 0].tolist() == [[255, 0]]


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_print_and_perceptual_colours_become_rgb(tmp_path: Path, mode: str) -> None:
    # In LAB the middle byte values stand for a* = b* = 0; sRGB red is about (53, 80, 67).
    red_as = {"CMYK": (0, 255, 255, 0), "YCbCr": (76, 85, 255), "LAB": (136, 208, 195)}
    image = Image.new(mode, (5, 4), red_as[mode])
    image.save(tmp_path / "a.tif")
    red = decode(tmp_path / "a.tif")[0, 0].astype(int)
    assert np.abs(red - [255, 0, 0]).max() < 12


def test_sixteen_bit_gray_keeps_its_bits(tmp_path: Path) -> None:
    values = np.arange(0, 65536, 17, dtype=np.uint16)[: 60 * 60].reshape(60, 60)
    for name in ("a.png", "a.tif", "a.pgm"):
        save(tmp_path / name, values)
        image = decode(tmp_path / name)
        assert image.dtype == probe(tmp_path / name).dtype == np.uint16
        assert np.array_equal(image[..., 0], values)


def test_integer_and_float_tiff_only_within_their_range(tmp_path: Path) -> None:
    good = save(tmp_path / "i.tif", np.array([[0, 65535]], dtype=np.int32))
    assert decode(good)[..., 0].tolist() == [[0, 65535]]
    unit = save(tmp_path / "f.tif", np.array([[0.0, 0.25, 1.0]], dtype=np.float32))
    assert decode(unit)[..., 0].tolist() == [[0.0, 0.25, 1.0]]
    for name, values in {"big": [[70000]], "low": [[-1]]}.items():
        with pytest.raises(DataError, match=r"0\.\.65535"):
            decode(save(tmp_path / f"{name}.tif", np.array(values, dtype=np.int32)))
    for name, value in {"over": 1.5, "under": -0.1, "nan": np.nan}.items():
        with pytest.raises(DataError, match=r"\[0, 1\]|NaN"):
            decode(save(tmp_path / f"{name}.tif", np.array([[value]], dtype=np.float32)))


def test_alpha_is_laid_on_white_or_kept(tmp_path: Path) -> None:
    rgba = np.dstack([photo(6, 5), np.arange(30, dtype=np.uint8).reshape(6, 5) * 8])
    path = save(tmp_path / "a.png", rgba)
    opacity = rgba[..., 3:] / 255
    expected = rgba[..., :3] * opacity + 255 * (1 - opacity)
    assert np.abs(decode(path) - expected).max() <= 0.5 + 1e-9
    assert np.array_equal(decode(path, alpha="keep"), rgba)
    gray = rgba[..., [0, 3]]
    Image.fromarray(gray, "LA").save(tmp_path / "la.png")
    assert decode(tmp_path / "la.png").shape == (6, 5, 1)
    assert np.array_equal(decode(tmp_path / "la.png", alpha="keep"), gray)


def test_transparent_palettes_and_gray_keys_are_seen(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "p.png", transparency=0)
    assert decode(tmp_path / "p.png").tolist() == [[[255, 255, 255], [200, 100, 50]]]
    assert decode(tmp_path / "p.png", alpha="keep")[0, 0, 3] == 0
    wide = Image.fromarray(np.array([[7, 9]], dtype=np.uint16))
    wide.save(tmp_path / "w.png", transparency=7)
    assert decode(tmp_path / "w.png")[..., 0].tolist() == [[65535, 9]]


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert decode(tmp_path / "a.gif")[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("shape", [(1, 1), (3, 20000), (20000, 3)])
def test_extreme_shapes(tmp_path: Path, shape: tuple[int, int]) -> None:
    pixels = photo(*shape)
    assert np.array_equal(decode(save(tmp_path / "a.png", pixels)), pixels)


def test_broken_files_are_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is no picture")
    cut(save(tmp_path / "half.jpg", photo(64, 64)))
    cut(save(tmp_path / "head.png", photo(64, 64)), 0.01)
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "empty.png": r"empty \(0 bytes\)",
        "text.png": "not an image",
        "half.jpg": "truncated",
        "head.png": "damaged|not an image",
        "folder.png": "is a folder",
        "missing.png": "no such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(DataError, match=reason) as caught:
            decode(tmp_path / name)
        assert "\n" not in caught.value.message
        assert name in caught.value.message


def test_a_format_outside_the_allow_list_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.tga", photo(4, 4)).rename(tmp_path / "a.png")
    save(tmp_path / "b.ico", photo(16, 16)).rename(tmp_path / "b.png")
    for name in ("a.png", "b.png"):
        with pytest.raises(DataError, match="not an image of a kind read here"):
            probe(tmp_path / name)


def test_decompression_bombs_are_refused_from_the_header(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.png", 60_000, 60_000)
    assert path.stat().st_size < 200
    for read in (probe, decode):
        with pytest.raises(DataError, match="more than 512 megapixels"):
            read(path)


def test_the_pixel_limit_is_exact_and_leaves_pillow_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    path = save(tmp_path / "a.png", photo(10, 11))
    assert decode(path, max_pixels=110).shape == (10, 11, 3)
    with pytest.raises(DataError, match="the limit of max_pixels"):
        decode(path, max_pixels=109)
    # Twice Pillow's own limit, above which it raises by itself; the header alone is read.
    assert probe(bomb(tmp_path / "b.png", 20_000, 20_000)).width == 20_000
    assert before == Image.MAX_IMAGE_PIXELS


def test_pillow_warnings_do_not_reach_the_user(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "p.png", transparency=b"\0\x80")
    with warnings.catch_warnings(record=True) as warnings_raised:
        warnings.simplefilter("always")
        decode(tmp_path / "p.png")
        probe(bomb(tmp_path / "b.png", 10_000, 10_000))
    assert warnings_raised == []


def test_what_pillow_logs_does_not_reach_the_user_either(tmp_path: Path) -> None:
    tags = [(256, 1), (257, 1), (258, 8), (262, 1), (273, 8), (277, 41), (278, 1), (279, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(data)
    code = "import sys; from isthmus.images.reading import read; read(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "isthmus.errors.DataError" in done.stderr
    assert "samples per pixel" not in done.stderr.lower()


def test_overlapping_threads_leave_pillow_as_it_was(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.png", photo(20, 20, seed=i)) for i in range(8)]
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: decode(paths[i % 8], max_pixels=400 + i), range(200)))
    assert all(np.array_equal(image, photo(20, 20, seed=i % 8)) for i, image in enumerate(read))
    assert before == (Image.MAX_IMAGE_PIXELS, list(warnings.filters))


def test_sixteen_bit_colour_keeps_its_bits(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">3H", 65535, 32768, 0)
    path = tmp_path / "a.png"
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    assert not probe(path).narrowed
    assert probe(path).dtype == np.uint16
    assert decode(path).tolist() == [[[65535, 32768, 0]]]


def test_what_libtiff_prints_is_said_of_the_file_and_not_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(bool)
    Image.fromarray(noise).save(path, compression="group4")
    with Image.open(path) as image:
        start, size = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    content = bytearray(path.read_bytes())
    content[start + size // 2 : start + size // 2 + 20] = b"\x5a" * 20
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tif: damaged or truncated"):
        decode(path)
    assert capfd.readouterr().err == ""
