"""HEIC photographs: pixels, bits, alpha, orientation and metadata against libheif and Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError, OutputError
from isthmus.images.formats import decode, probe
from isthmus.images.metadata import read_metadata
from isthmus.images.sources import lossy_parts

PIXELS = np.kron(np.random.default_rng(0).integers(0, 256, (6, 9, 4)), np.ones((8, 8, 1))).astype(np.uint8)


def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(path, quality=95, chroma=444, **options)
    return path


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["a.heic", "a.HIF", "a.jpg"])
def test_colours_and_alpha_are_those_of_libheif(tmp_path: Path, channels: int, name: str) -> None:
    pixels = PIXELS[..., 0] if channels == 1 else PIXELS[..., :channels]
    heic = write(tmp_path / "a.heic", pixels)
    heic.rename(tmp_path / name)
    right = np.asarray(pillow_heif.open_heif(tmp_path / name)).reshape(48, 72, -1)
    assert np.array_equal(decode(tmp_path / name, alpha="keep"), right)
    assert np.abs(right.reshape(pixels.shape).astype(int) - pixels).mean() < 4
    assert probe(tmp_path / name).transparent == (channels == 4)
    assert lossy_parts(tmp_path / name) == (True, True)


def test_ten_bits_are_kept(tmp_path: Path) -> None:
    samples = (np.arange(64 * 96 * 3, dtype=np.uint32).reshape(64, 96, 3) * 3).astype(np.uint16)
    image = pillow_heif.from_bytes(mode="RGB;16", size=(96, 64), data=samples.tobytes())
    image.save(tmp_path / "a.heic", quality=-1, chroma=444)
    right = np.asarray(pillow_heif.open_heif(tmp_path / "a.heic", convert_hdr_to_8bit=False)) >> 6
    images = isthmus.read(tmp_path / "a.heic")
    assert images.image(0).dtype == np.uint16
    assert np.array_equal(images.image(0), np.rint(right / 1023 * 65535).astype(np.uint16))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_is_upright_once(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    Image.fromarray(PIXELS[..., :3]).save(tmp_path / "a.png")
    write(tmp_path / "a.heic", PIXELS[..., :3], exif=exif.tobytes())
    height, width = (48, 72) if orientation < 5 else (72, 48)
    header = probe(tmp_path / "a.heic")
    assert (header.height, header.width) == (height, width)
    upright = isthmus.read(tmp_path / "a.heic").image(0)
    steps = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    assert np.abs(upright.astype(int) - np.rot90(PIXELS[..., :3], steps)).mean() < 4
    metadata = read_metadata(tmp_path / "a.heic")
    assert metadata.exif is not None
    assert b"Maker" in metadata.exif
    isthmus.denoise_files(tmp_path / "a.heic", out=tmp_path / "b.tif", sigma=0)
    with Image.open(tmp_path / "b.tif") as opened:
        assert (opened.size, opened.getexif().get(0x0112, 1)) == ((width, height), 1)
        assert opened.getexif()[0x010F] == "Maker"


def test_it_is_not_written_in_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.heic", PIXELS[..., :3])
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"a\.heic: the file name must end with"):
        isthmus.denoise_files(tmp_path, out=tmp_path, in_place=True, sigma=1)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.heic"]


@pytest.mark.parametrize("size", [20, 60, 200])
def test_a_damaged_file_is_named(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.heic", PIXELS[..., :3])
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"damaged or truncated|not an image"):
        isthmus.read(path)


def test_a_folder_of_photographs_is_a_set(tmp_path: Path) -> None:
    write(tmp_path / "a.heic", PIXELS[..., :3])
    Image.fromarray(PIXELS[..., :3]).save(tmp_path / "b.png")
    images = isthmus.read(tmp_path)
    assert images.names == ("a.heic", "b.png")
    assert not images.notes
