"""One image in every kind there is: the same pixels come in, and the same kind goes out."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import isthmus
from isthmus.errors import DataError, UsageError
from isthmus.images.array_format import receive, to_batch
from isthmus.images.formats import decode
from isthmus.images.reading import read_image
from isthmus.images.sample_range import NOISY

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)


def given(kind: str, folder: Path) -> Any:
    """PIXELS as one of the kinds."""
    path = folder / "image.png"
    Image.fromarray(PIXELS).save(path)
    padded = np.zeros((10, 12, 3), np.uint8)
    padded[::2, ::-2] = PIXELS
    kinds: dict[str, Callable[[], Any]] = {
        "path": lambda: path,
        "text": lambda: str(path),
        "bytes": path.read_bytes,
        "bytearray": lambda: bytearray(path.read_bytes()),
        "file": lambda: io.BytesIO(path.read_bytes()),
        "pillow": lambda: Image.open(path),
        "array": lambda: PIXELS,
        "strided": lambda: padded[::2, ::-2],
        "fortran": lambda: np.asfortranarray(PIXELS),
        "tensor": lambda: torch.from_numpy(PIXELS).permute(2, 0, 1)[None],
    }
    return kinds[kind]()


KINDS = ["path", "text", "bytes", "bytearray", "file", "pillow", "array", "strided", "fortran", "tensor"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_the_same_pixels(tmp_path: Path, kind: str) -> None:
    assert np.array_equal(read_image(given(kind, tmp_path)), PIXELS)
    assert np.array_equal(isthmus.read(given(kind, tmp_path)).image(0), PIXELS)
    batch, _ = to_batch(given(kind, tmp_path))
    np.testing.assert_allclose(batch[0].permute(1, 2, 0), PIXELS / 255, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_of_the_same_kind(tmp_path: Path, kind: str) -> None:
    image = given(kind, tmp_path)
    batch, kind_of_image = to_batch(image)
    back = kind_of_image.restore(1 - batch)
    if kind == "tensor":
        assert isinstance(back, torch.Tensor) and torch.equal(back, 255 - image)
        return
    assert isinstance(back, Image.Image if kind == "pillow" else np.ndarray)
    assert np.array_equal(np.asarray(back), 255 - PIXELS)


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "longdouble", ">u2", "<u2", "?"])
def test_samples_of_every_type_and_byte_order(dtype: str) -> None:
    top = 65535 if "u2" in dtype else 1
    array = (np.array([[0, 1, 0.25], [1, 0, 0.5]]) * top).astype(dtype)
    batch, kind = to_batch(array)
    np.testing.assert_allclose(batch[0, 0], array.astype(float) / top, atol=1e-4)
    back = kind.restore(batch)
    assert back.dtype == array.dtype
    np.testing.assert_allclose(back.astype(float), array.astype(float), rtol=1e-3)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.bool]
)
def test_tensors_of_every_type_with_or_without_a_gradient(dtype: torch.dtype) -> None:
    tensor = torch.tensor([0, 0.25, 1, 0.5]).view(1, 1, 2, 2).to(dtype)
    if dtype in (torch.float16, torch.float32):
        tensor.requires_grad_()
    batch, kind = to_batch(tensor)
    assert torch.equal(batch.detach(), tensor.detach().float())
    back = kind.restore(batch)
    assert back.dtype == dtype
    assert torch.equal(back.detach().float(), tensor.detach().float())


MODES: dict[str, tuple[int, type[np.generic]]] = {
    "1": (1, np.uint8),
    "L": (1, np.uint8),
    "P": (3, np.uint8),
    "LA": (1, np.uint8),
    "La": (1, np.uint8),
    "RGB": (3, np.uint8),
    "RGBA": (3, np.uint8),
    "RGBa": (3, np.uint8),
    "RGBX": (3, np.uint8),
    "CMYK": (3, np.uint8),
    "YCbCr": (3, np.uint8),
    "HSV": (3, np.uint8),
    "LAB": (3, np.uint8),
    "I": (1, np.uint16),
    "I;16": (1, np.uint16),
    "F": (1, np.float32),
}


def pillow(mode: str) -> Image.Image:
    colour = Image.fromarray(PIXELS)
    if mode in ("La", "RGBa"):
        return colour.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    if mode == "I;16":
        return Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(PIXELS[..., 0].astype(np.float32) / 255)
    if mode == "LAB":
        return Image.new("LAB", (6, 5), (128, 128, 128))
    return colour.convert(mode)


@pytest.mark.parametrize("mode", list(MODES))
def test_pillow_images_of_every_mode_are_read_as_their_files_are(mode: str) -> None:
    channels, dtype = MODES[mode]
    image = pillow(mode)
    pixels = read_image(image)
    assert pixels.shape == (5, 6, channels) and pixels.dtype == dtype
    if mode in ("L", "RGB"):
        assert np.array_equal(pixels.squeeze(), np.asarray(image))
    if mode in ("I;16", "F"):
        assert np.array_equal(pixels[..., 0], np.asarray(image))
    batch, kind = to_batch(image)
    back = kind.restore(batch)
    assert isinstance(back, Image.Image) and back.size == image.size
    assert back.mode == (
        mode if mode in ("I;16", "F") else "I;16" if mode == "I" else "L" if channels == 1 else "RGB"
    )


def test_pillow_images_are_turned_upright_and_laid_on_white() -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = 6  # the camera was turned by a quarter
    assert np.array_equal(read_image(image), np.rot90(PIXELS, -1))
    clear = Image.fromarray(np.dstack([PIXELS, np.zeros((5, 6), np.uint8)]))
    assert (read_image(clear) == 255).all()
    with_alpha, _ = receive(clear, alpha="keep")
    assert np.array_equal(with_alpha[..., :3], PIXELS) and (with_alpha[..., 3] == 0).all()


def test_what_cannot_be_read_is_refused_with_its_reason(tmp_path: Path) -> None:
    for bad, reason in [
        (b"", "empty"),
        (b"no image at all", "not an image"),
        (io.StringIO("text"), "open as text"),
        (given("bytes", tmp_path)[:60], "damaged or truncated"),
        (Image.new("RGB", (0, 4)), "no pixels"),
        (tmp_path / "none.png", "no such file"),
        (tmp_path, "no image"),
        (7, "cannot read images from a int"),
    ]:
        (tmp_path / "image.png").unlink(missing_ok=True)
        with pytest.raises(DataError, match=reason):
            read_image(bad)
    with pytest.raises(DataError, match=r"2\.9e-05 megapixels"):
        read_image(given("bytes", tmp_path), max_pixels=29)
    with pytest.raises(DataError, match="megapixels"):
        read_image(Image.fromarray(PIXELS), max_pixels=29)


def test_one_image_has_the_channels_that_are_asked_for() -> None:
    gray = PIXELS[..., 0]
    assert read_image(gray).shape == (5, 6, 1)
    assert np.array_equal(read_image(gray, channels=3), np.dstack([gray] * 3))
    weighed = PIXELS.astype(float) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(read_image(PIXELS, channels=1)[..., 0], weighed, atol=0.51)
    with pytest.raises(UsageError, match="channels"):
        read_image(PIXELS, channels=2)


# ---------------------------------------------------------------- ranges


WRONG: list[tuple[Any, str]] = [
    (PIXELS.astype(np.float32), "range=(0, 255)"),
    (PIXELS / 127.5 - 1, "range=(-1, 1)"),
    (PIXELS.astype(np.int64), "range=(0, 255)"),
    (PIXELS.astype(np.int32) * 10, "range=(0, 4095)"),
    (PIXELS.astype(np.int16) - 128, "range=(-128, 127)"),
]


@pytest.mark.parametrize(("array", "hint"), WRONG)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_samples_elsewhere_are_refused_with_the_range_that_maps_them(
    array: np.ndarray, hint: str, as_tensor: bool
) -> None:
    image = torch.from_numpy(array).permute(2, 0, 1)[None] if as_tensor else array
    for take in (to_batch, read_image, isthmus.read):
        with pytest.raises(DataError) as caught:
            take(image)
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize(("array", "hint"), WRONG)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_range_maps_them_and_back(array: np.ndarray, hint: str, as_tensor: bool) -> None:
    low, high = (float(end) for end in hint.removeprefix("range=(").removesuffix(")").split(","))
    image = torch.from_numpy(array).permute(2, 0, 1)[None] if as_tensor else array
    expected = (array.astype(float) - low) / (high - low)
    for pixels in (isthmus.read(image, range=(low, high)).image(0), read_image(image, range=(low, high))):
        assert pixels.dtype == np.float32
        np.testing.assert_allclose(pixels, expected, atol=1e-6)
    batch, kind = to_batch(image, range=(low, high))
    np.testing.assert_allclose(batch[0].permute(1, 2, 0), expected, atol=1e-6)
    back = kind.restore(batch)
    assert back.dtype == image.dtype
    np.testing.assert_allclose(back, image, atol=1e-4 if array.dtype.kind == "f" else 0)


def test_the_tolerance_is_clipped_and_no_more() -> None:
    inside = np.array([[-0.0009, 1.0009]])
    assert to_batch(inside)[0].flatten().tolist() == [0, 1]
    assert isthmus.read(inside).image(0).flatten().tolist() == [0, 1]
    assert to_batch(torch.from_numpy(inside)[None, None])[0].flatten().tolist() == [0, 1]
    assert to_batch(inside * 255, range=(0, 255))[0].flatten().tolist() == [0, 1]
    for outside in ([[-0.002, 0.5]], [[0.5, 1.002]]):
        for image in (np.array(outside), torch.tensor([[outside]])):
            with pytest.raises(DataError, match=r"floats must lie in \[0, 1\]"):
                to_batch(image)
    assert to_batch(np.array([[-7.0, 8.0]]), bounds=NOISY)[0].flatten().tolist() == [-7, 8]
    with pytest.raises(DataError, match=r"\[-7, 8\]"):
        to_batch(np.array([[0, 8.1]]), bounds=NOISY)
    with pytest.raises(DataError, match=r"with range=\(0, 100\) samples must lie in \[0, 100\]"):
        to_batch(np.array([[0, 101]], np.uint8), range=(0, 100))


@pytest.mark.parametrize("bad", [(1, 0), (0, 0), (0, float("nan")), (0,), 7, ("a", "b")])
def test_impossible_ranges(bad: Any) -> None:
    for take in (to_batch, isthmus.read, read_image):
        with pytest.raises(UsageError, match="range must be"):
            take(PIXELS, range=bad)


def test_files_of_wide_samples_are_mapped(tmp_path: Path) -> None:
    deep = np.arange(30).reshape(5, 6) * 100
    Image.fromarray(deep.astype(np.uint16)).save(tmp_path / "a.png")
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "b.tif")
    Image.fromarray((deep - 500).astype(np.int32)).save(tmp_path / "c.tif")
    np.save(tmp_path / "d.npy", deep)
    for name in ("a.png", "b.tif", "d.npy"):
        pixels = read_image(tmp_path / name, range=(0, 4095))
        np.testing.assert_allclose(pixels[..., 0], deep / 4095, atol=1e-6)
    with pytest.raises(DataError) as caught:
        read_image(tmp_path / "b.tif")
    assert "range=(0, 4095)" in str(caught.value.hint)
    (tmp_path / "set").mkdir()
    for name in ("a.png", "b.tif", "c.tif"):
        (tmp_path / name).rename(tmp_path / "set" / name)
    images = isthmus.read(tmp_path / "set", range=(0, 4095))
    assert images.names == ("a.png", "b.tif")
    assert images.skipped[0].name == "c.tif" and "range=(0, 4095)" in images.skipped[0].reason
    np.testing.assert_allclose(images.image(1)[..., 0], deep / 4095, atol=1e-6)
    again = isthmus.read(images, range=(0, 0.8))
    np.testing.assert_allclose(again.image(0), images.image(0) / 0.8, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_signed_samples_of_jpeg_2000_keep_their_bits(tmp_path: Path, bits: int, channels: int) -> None:
    levels = np.random.default_rng(0).integers(0, 2**bits, (20, 24, channels))
    signed = (levels - 2 ** (bits - 1)).astype(np.int16)
    content = imagecodecs.jpeg2k_encode(
        signed[..., 0] if channels == 1 else signed, level=0, reversible=True, bitspersample=bits
    )
    (tmp_path / "a.jp2").write_bytes(content)
    right = (levels * 65535 + (2**bits - 1) // 2) // (2**bits - 1)
    assert np.array_equal(decode(tmp_path / "a.jp2", alpha="keep"), right)


def test_a_tiff_of_12_bits_in_jpeg(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 4096, (20, 24, 3)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        levels,
        photometric="ycbcr",
        compression="jpeg",
        compressionargs={"bitspersample": 12, "level": 95},
    )
    right = (tifffile.imread(tmp_path / "a.tif").astype(np.int64) * 65535 + 2047) // 4095
    assert np.array_equal(decode(tmp_path / "a.tif"), right)
