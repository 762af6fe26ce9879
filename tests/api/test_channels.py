"""Images of more channels than a picture shows, in every use that can serve them."""

from __future__ import annotations

import logging
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

import isthmus
from isthmus.errors import CapabilityError, DataError, UsageError
from isthmus.images.bands import showing_bands, visible_bands
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.geometry import Geometry
from isthmus.model.recipes import recipe

from .parity import Parity

PARITY = {
    "evaluate --show": Parity(
        ["evaluate", "photos.safetensors", "photos", "--show", "1,1,1"],
        lambda: isthmus.evaluate("photos.safetensors", "photos", show=(1, 1, 1)),
    ),
    "reconstruct --show": Parity(
        ["reconstruct", "photos.safetensors", "photos", "--compare", "--show", "1,1,1", "-o", "a", "--force"],
        lambda: isthmus.reconstruct_files(
            "photos.safetensors", "photos", compare=True, show=(1, 1, 1), out="a", force=True
        ),
    ),
}
IMAGES = (np.random.default_rng(0).random((24, 16, 16, 8)) * 65535).astype(np.uint16)


@pytest.fixture(scope="module")
def model() -> Autoencoder:
    return isthmus.train(
        IMAGES, recipe="conv", code="8@4", settings=["backbone.width=8"], steps=2, precision="float32"
    )


def test_pictures_show_chosen_channels() -> None:
    image = np.arange(4 * 4 * 5).reshape(4, 4, 5)
    assert np.array_equal(visible_bands(image), image[..., :3])
    assert np.array_equal(visible_bands(image[..., :2]), image[..., :1])
    with showing_bands((4, 3, 2)):
        assert np.array_equal(visible_bands(image), image[..., [3, 2, 1]])
    for wrong in ((1, 2), (0, 1, 2), (1, 2, 3, 4)):
        with pytest.raises(UsageError, match="show"), showing_bands(wrong):
            pass


def test_reconstructions_keep_channels_and_depth(model: Autoencoder, tmp_path: Path) -> None:
    expected = model.reconstruct(IMAGES[:3])
    assert expected.dtype == np.uint16
    assert expected.shape == (3, 16, 16, 8)
    done = isthmus.reconstruct_files(model, IMAGES[:3], out=tmp_path / "d")
    assert [Path(path).name for path in done.files] == ["0.tif", "1.tif", "2.tif"]
    for path, file in zip(done.files, expected, strict=True):
        result = tifffile.imread(path)
        assert result.dtype == np.uint16
        assert np.abs(result.astype(int) - file).max() <= 1
    isthmus.reconstruct_files(model, IMAGES[:3], out=tmp_path / "a.npy")
    array = np.load(tmp_path / "a.npy")
    assert array.dtype == np.uint16
    assert np.abs(array.astype(int) - expected).max() <= 1
    with pytest.raises(OSError, match=r"PNG stores 1 to 4 channels"):
        isthmus.reconstruct_files(model, IMAGES[:1], out=tmp_path / "one.png")
    with pytest.raises(OSError, match="exists"):
        isthmus.reconstruct_files(model, IMAGES[:3], out=tmp_path / "a.npy")


def test_pairs_show_the_chosen_channels(model: Autoencoder, tmp_path: Path) -> None:
    isthmus.reconstruct_files(model, IMAGES[:1], out=tmp_path / "d", compare=True, show=(8, 2, 1), scale=1)
    pair = isthmus.read(tmp_path / "d/0.png").image(0)
    shown = np.rint(IMAGES[0][..., [7, 1, 0]] / 257)
    assert np.abs(pair[:, :16].astype(int) - shown).max() <= 1


def test_sets_of_files_give_what_arrays_give(model: Autoencoder, tmp_path: Path) -> None:
    for index, image in enumerate(IMAGES):
        tifffile.imwrite(tmp_path / f"{index:02}.tif", image, photometric="minisblack", planarconfig="contig")
    vectors = isthmus.embed(model, tmp_path).vectors
    np.testing.assert_allclose(vectors, isthmus.embed(model, IMAGES).vectors, atol=1e-5)
    scores = isthmus.anomalies(model, tmp_path, normal=IMAGES).scores
    np.testing.assert_allclose(scores, isthmus.anomalies(model, IMAGES, normal=IMAGES).scores, rtol=1e-4)
    measured = isthmus.evaluate(model, tmp_path, reference=IMAGES)
    error = ((model.reconstruct(IMAGES / 65535) - IMAGES / 65535) ** 2).mean()
    assert measured.metrics["mse"] == pytest.approx(error, rel=1e-3)


def test_idx_files_of_many_channels_train(tmp_path: Path) -> None:
    pixels = (IMAGES >> 8).astype(np.uint8)
    data = bytes([0, 0, 8, 4]) + struct.pack(">4I", *pixels.shape) + pixels.tobytes()
    (tmp_path / "cubes.idx").write_bytes(data)
    assert isthmus.train(tmp_path / "cubes.idx", recipe="dense", code="4", steps=1).channels == 8


def test_what_is_shown_is_noted_once(
    model: Autoencoder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="isthmus"):
        result = isthmus.anomalies(model, IMAGES, normal=IMAGES, show=(4, 3, 2))
        result.save(tmp_path / "a.png")
    said = [record.getMessage() for record in caplog.records if "pictures show" in record.getMessage()]
    assert said == ["pictures show channels 4, 3, 2 of 8 channels; `show` chooses others"]
    assert said[0] in map(str, result.notes)
    other = isthmus.anomalies(model, IMAGES, normal=IMAGES)
    assert other.draw() != result.draw()  # each draws what it was asked to show
    with pytest.raises(UsageError, match="channel 9 of images that have 8"):
        isthmus.anomalies(model, IMAGES, normal=IMAGES, show=(9, 3, 2))


def test_one_image_of_many_channels_is_one_image(model: Autoencoder) -> None:
    assert model.reconstruct(IMAGES[0]).shape == (16, 16, 8)
    assert isthmus.evaluate(model, IMAGES[0]).names == ("0",)
    assert isthmus.embed(model, IMAGES[0]).vectors.shape[0] == 1
    images = isthmus.read(IMAGES[0], channels=8)
    assert len(images) == 1
    assert isthmus.read(IMAGES[0]).shape == (16, 8, 1)
    assert "read with channels=8" in isthmus.read(IMAGES[0]).notes[0]


def test_arrays_with_channels_first_are_refused_with_a_hint() -> None:
    first = np.zeros((4, 5, 16, 16), np.uint8)
    with pytest.raises(DataError) as caught:
        isthmus.read(first)
    assert "np.moveaxis(images, 1, -1)" in str(caught.value.hint)
    assert isthmus.read(np.moveaxis(first, 1, -1)).shape == (16, 16, 5)
    assert isthmus.read(first, channels=16).shape == (5, 16, 16)
    with pytest.raises(DataError, match="65 channels"):
        isthmus.read(np.zeros((2, 80, 80, 65), np.uint8))
    with pytest.raises(DataError, match="volumes"):
        isthmus.read(np.zeros((2, 8, 8, 8, 1), np.uint8))


def test_uses_for_gray_and_colour_say_so(model: Autoencoder, tmp_path: Path) -> None:
    isthmus.reconstruct_files(model, IMAGES[:1], out=tmp_path / "d")
    with pytest.raises(DataError, match=r"1 to 4"):
        isthmus.compress(IMAGES[0])
    with pytest.raises(UsageError, match="1 or 3 channels, not of 8"):
        isthmus.denoise(IMAGES[0], 10)
    with pytest.raises(DataError, match="8 channels; gray and colour images are read here"):
        isthmus.compress_files(tmp_path / "d/0.tif", out=tmp_path / "a.isth")


def test_two_or_three_axes_are_facts_of_the_geometry() -> None:
    assert Geometry.parse("8@4").shape((16, 20)) == (8, 4, 5)
    assert Geometry.parse("8@4", axes=3).shape((8, 16, 20)) == (8, 2, 4, 5)
    assert Geometry.parse("8@4", axes=3).numbers((8, 16, 20)) == 8 * 2 * 4 * 5
    assert Geometry.parse("64", axes=3).shape((8, 16, 20)) == (64,)
    with pytest.raises(UsageError, match="3 axes"):
        Geometry.parse("8@4", axes=3).shape((16, 20))
    with pytest.raises(UsageError, match="volumes three, not 4"):
        Geometry.parse("8@4", axes=4)
    point = replace(recipe("conv"), code="8@4")
    with pytest.raises(CapabilityError, match="images of 2 axes, not of 3"):
        Autoencoder(point, channels=1, size=(8, 16, 16))  # type: ignore[arg-type]
    with pytest.raises(CapabilityError, match="1 to 64 channels, not 65"):
        Autoencoder(point, channels=65, size=(16, 16))
