"""TIFF files of any number of channels, as tifffile and other programs write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import isthmus
from isthmus.errors import DataError
from isthmus.images.formats import decode
from isthmus.images.opening import ImageFileError
from isthmus.images.write import encode_image, save_bands, save_image

Array = np.ndarray[Any, np.dtype[Any]]
CONTIG: dict[str, Any] = {"photometric": "minisblack", "planarconfig": "contig"}
SEPARATE = {"photometric": "minisblack", "planarconfig": "separate"}


def samples(shape: tuple[int, ...], dtype: str) -> Array:
    numbers = np.random.default_rng(0).random(shape)
    top = 1 if dtype == "float32" else np.iinfo(dtype).max
    return (numbers * top).astype(dtype)


LAYOUTS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "interleaved": ((20, 30, 5), CONTIG),
    "in planes": ((5, 20, 30), SEPARATE),
    "deflated": ((20, 30, 5), {**CONTIG, "compression": "zlib"}),
    "tiles": ((40, 50, 5), {**CONTIG, "tile": (16, 16), "compression": "zlib"}),
    "planes of tiles": ((5, 40, 50), {**SEPARATE, "tile": (16, 16)}),
    "big-endian": ((20, 30, 5), {**CONTIG, "byteorder": ">"}),
    "BigTIFF": ((20, 30, 5), {**CONTIG, "bigtiff": True}),
    "colour and two more": ((20, 30, 5), {"photometric": "rgb", "planarconfig": "contig"}),
    "colour and infrared": ((20, 30, 4), {"photometric": "rgb", "extrasamples": ["unspecified"]}),
    "two": ((20, 30, 2), CONTIG),
    "64": ((20, 30, 64), CONTIG),
    "pages, channels first": ((5, 20, 30), {}),
    "pages, channels last": ((20, 30, 5), {}),
    "ImageJ": ((5, 20, 30), {"imagej": True, "metadata": {"axes": "CYX"}}),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_sample_is_read(tmp_path: Path, layout: str, dtype: str) -> None:
    shape, how = LAYOUTS[layout]
    array = samples(shape, dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, **how)
    images = isthmus.read(tmp_path / "a.tif")
    expected = np.moveaxis(array, 0, -1) if shape[0] == 5 else array
    assert images.dtype == dtype
    assert np.array_equal(images.image(0), expected)
    is_noted = any("pages are read as the channels" in note for note in images.notes)
    assert is_noted == ("pages" in layout or layout == "ImageJ")


@pytest.mark.parametrize("how", [{"photometric": "rgb"}, {"photometric": "rgb", "planarconfig": "separate"}])
def test_colour_keeps_its_16_bits_in_a_set(tmp_path: Path, how: dict[str, Any]) -> None:
    shape = (3, 20, 30) if "planarconfig" in how else (20, 30, 3)
    array = samples(shape, "uint16")
    tifffile.imwrite(tmp_path / "a.tif", array, **how)
    colour = np.moveaxis(array, 0, -1) if shape[0] == 3 else array
    assert np.array_equal(isthmus.read(tmp_path).image(0), colour)
    assert np.array_equal(decode(tmp_path / "a.tif"), colour)


def test_alpha_stays_alpha(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples((20, 30, 4), "uint8"), photometric="rgb")
    images = isthmus.read(tmp_path / "a.tif")
    assert images.channels == 3
    assert "laid on white" in images.notes[0]


def test_a_stack_of_pictures_that_does_not_name_channels_is_one_picture(tmp_path: Path) -> None:
    stack = samples((5, 20, 30), "uint8")
    tifffile.imwrite(tmp_path / "a.tif", stack, metadata=None)
    images = isthmus.read(tmp_path / "a.tif")
    assert np.array_equal(images.image(0)[..., 0], stack[0])
    assert "only the first is read" in images.notes[0]


def test_more_than_64_channels_are_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples((9, 9, 65), "uint8"), **CONTIG)
    with pytest.raises(ImageFileError, match="has 65 channels; images have 1 to 64"):
        isthmus.read(tmp_path / "a.tif")


def test_a_folder_has_one_number_of_channels(tmp_path: Path) -> None:
    for name, channels in (("a", 5), ("b", 5), ("c", 7)):
        tifffile.imwrite(tmp_path / f"{name}.tif", samples((9, 9, channels), "uint8"), **CONTIG)
    with pytest.raises(DataError, match=r"a.tif has 5 channels and c.tif has 7"):
        isthmus.read(tmp_path)
    (tmp_path / "c.tif").unlink()
    assert isthmus.read(tmp_path).shape == (9, 9, 5)
    assert isthmus.read(tmp_path, size=4).shape == (4, 4, 5)
    with pytest.raises(DataError, match="5 channels"):
        isthmus.read(tmp_path, channels=3)


def test_wide_samples_are_mapped_by_their_range(tmp_path: Path) -> None:
    array = np.arange(9 * 9 * 5, dtype=np.int16).reshape(9, 9, 5) - 100
    tifffile.imwrite(tmp_path / "a.tif", array, **CONTIG)
    with pytest.raises(ImageFileError, match="int16"):
        isthmus.read(tmp_path / "a.tif")
    images = isthmus.read(tmp_path / "a.tif", range=(-100, 304))
    np.testing.assert_allclose(images.image(0), (array + 100) / 404, atol=1e-6)


@pytest.mark.parametrize("cut", [30, 200, 900])
def test_what_is_cut_short_is_damaged(tmp_path: Path, cut: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples((20, 30, 5), "uint8"), **CONTIG)
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:-cut])
    with pytest.raises(ImageFileError):
        isthmus.read(tmp_path / "a.tif")


def test_a_promise_of_pixels_takes_no_memory(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", samples((20, 30, 5), "uint8"), **CONTIG, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages.first.tags[name].overwrite(20_000)
    with pytest.raises(ImageFileError, match=r"are promised"):
        isthmus.read(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [2, 3, 4, 5, 64])
def test_what_is_written_is_read_again(tmp_path: Path, channels: int, dtype: str) -> None:
    array = samples((9, 11, channels), dtype)
    save_bands(tmp_path / "a.tif", array)
    assert np.array_equal(isthmus.read(tmp_path / "a.tif").image(0), array)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), array)


def test_other_formats_name_the_one_that_holds_more(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"PNG stores 1 to 4 channels, not 5"):
        save_image(tmp_path / "a.png", samples((9, 9, 5), "uint8"))
    deep = samples((9, 9, 3), "uint16")
    with pytest.raises(OSError, match="16 bits"):
        save_image(tmp_path / "a.webp", deep)
    for suffix in ("tif", "png", "ppm", "jp2"):
        save_image(tmp_path / f"a.{suffix}", deep)
        assert np.array_equal(isthmus.read(tmp_path / f"a.{suffix}").image(0), deep)
    assert encode_image("a.tif", deep) == encode_image("a.tif", deep)


def test_a_description_is_not_trusted(tmp_path: Path) -> None:
    for text in ('{"shape": [', json.dumps({"shape": [2**60, 9, 9]}), "ImageJ=1\nchannels=99999\n"):
        tifffile.imwrite(
            tmp_path / "a.tif",
            samples((9, 9), "uint8"),
            description=text,
            metadata=None,
            photometric="minisblack",
        )
        if text.startswith("ImageJ"):
            with pytest.raises(ImageFileError):
                isthmus.read(tmp_path / "a.tif")
        else:
            assert isthmus.read(tmp_path / "a.tif").shape == (9, 9, 1)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats_multiplied_by_a_tiny_alpha_are_at_most_white(tmp_path: Path, dtype: str) -> None:
    samples = np.full((4, 4, 4), 0.25, dtype)
    samples[..., 3] = 0.5
    samples[0, 0] = [0.5, 1e-6, 0, 6e-8]  # brighter than its alpha allows: divided, it would be infinite
    samples[1, 1, 3] = 0
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    image = decode(tmp_path / "a.tif", alpha="keep")
    assert image[0, 0, :3].tolist() == [1, 1, 0]
    assert image[1, 1].tolist() == [0, 0, 0, 0]
    assert image[3, 3].tolist() == [0.5, 0.5, 0.5, 0.5]


def test_a_range_above_one_is_white_where_colour_was_multiplied_by_alpha(tmp_path: Path) -> None:
    samples = np.full((2, 2, 4), 250, np.float32)
    samples[..., 3] = 0.5
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["assocalpha"])
    image = decode(tmp_path / "a.tif", alpha="keep", value_range=(0, 1000))
    assert image[0, 0].tolist() == [0.5, 0.5, 0.5, 0.5]
