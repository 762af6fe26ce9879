"""Pillow opens and saves .isth files after `import isthmus.pillow`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import isthmus
from isthmus.model.autoencoder import Autoencoder
from isthmus.pillow import MODEL_VARIABLE

from .conftest import GOLDEN, MODEL

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    isthmus.register_pillow()
    monkeypatch.setenv(MODEL_VARIABLE, str(MODEL))


@pytest.mark.parametrize(
    ("name", "mode"), [("colour", "RGB"), ("gray", "L"), ("alpha", "RGBA"), ("gray-alpha", "LA")]
)
def test_files_open_as_images(name: str, mode: str, model: Autoencoder) -> None:
    with Image.open(GOLDEN / f"{name}.isth") as image:
        assert (image.format, image.mode, image.size) == ("ISTHMUS", mode, (110, 90))
        assert np.array_equal(np.asarray(image), isthmus.decompress(GOLDEN / f"{name}.isth", model=model))


def test_metadata_is_where_pillow_has_it() -> None:
    with Image.open(GOLDEN / "tagged.isth") as image:
        assert image.info["icc_profile"] == b"a profile, as far as this format cares"
        assert image.getexif()[0x010E] == "a cat"


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P"])
def test_images_are_saved_and_opened_again(mode: str, photo: Pixels, tmp_path: Path) -> None:
    before = Image.fromarray(photo[:40, :60]).convert(mode)
    before.save(tmp_path / "x.isth", quality=90)
    with Image.open(tmp_path / "x.isth") as after:
        assert after.size == before.size
        assert np.abs(np.asarray(after.convert("L"), int) - np.asarray(before.convert("L"), int)).mean() < 25


def test_metadata_given_in_saving_is_kept(photo: Pixels, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    Image.fromarray(photo[:40, :60]).save(tmp_path / "x.isth", exif=exif, icc_profile=b"a profile")
    with Image.open(tmp_path / "x.isth") as image:
        assert image.info["icc_profile"] == b"a profile"
        assert image.getexif()[0x010F] == "a camera"


def test_a_damaged_file_is_no_image(tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "colour.isth").read_bytes())
    data[100] ^= 1
    (tmp_path / "x.isth").write_bytes(data)
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(tmp_path / "x.isth")


def test_impossible_requests_are_oserrors(photo: Pixels, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="out of range"):
        Image.fromarray(photo).save(tmp_path / "x.isth", quality=500)
    with pytest.raises(OSError, match="8 bits"):
        Image.fromarray(photo[:, :, 0].astype(np.uint16)).save(tmp_path / "x.isth")


def test_without_a_model_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(MODEL_VARIABLE, str(tmp_path / "none.safetensors"))
    with Image.open(GOLDEN / "colour.isth") as image, pytest.raises(OSError, match=r"none\.safetensors"):
        image.load()
