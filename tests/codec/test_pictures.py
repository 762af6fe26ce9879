"""compress and decompress: kinds of pictures, sizes, rates asked for, and what is refused."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import isthmus
from isthmus.codec import container
from isthmus.codec.container import CompressedFileError
from isthmus.errors import CapabilityError, DataError, ModelFileError, UsageError
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import recipe

from .conftest import MODEL

Pixels = npt.NDArray[np.uint8]


def psnr(a: Pixels, b: Pixels) -> float:
    return -10 * math.log10(((a.astype(float) - b) ** 2).mean() / 255**2)


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.sampled_from([None, 1, 2, 3, 4]),
    quality=st.sampled_from([1.0, 33.3, 100.0]),
)
def test_every_kind_comes_back_with_its_alpha(
    model: Autoencoder, photo: Pixels, height: int, width: int, channels: int | None, quality: float
) -> None:
    rgba = np.dstack([photo, photo[::-1, :, 0]])[20 : 20 + height, 30 : 30 + width]
    kinds = {None: rgba[:, :, 1], 1: rgba[:, :, 1:2], 2: rgba[:, :, [0, 3]], 3: rgba[:, :, :3], 4: rgba}
    image = kinds[channels]
    result = isthmus.decompress(isthmus.compress(image, quality=quality, model=model), model=model)
    assert result.dtype == np.uint8
    assert result.shape == (image.shape[:2] if channels == 1 else image.shape)
    if channels in (2, 4):
        assert np.array_equal(result[..., -1], image[..., -1])


def test_more_quality_is_more_bytes_and_less_error(model: Autoencoder, photo: Pixels) -> None:
    files = [isthmus.compress(photo, quality=q, model=model) for q in (1, 30, 60, 90)]
    errors = [psnr(photo, isthmus.decompress(data, model=model)) for data in files]
    assert sorted(map(len, files)) == [len(data) for data in files]
    assert sorted(errors) == errors
    assert errors[-1] - errors[0] > 1.5


@pytest.mark.parametrize("bpp", [0.25, 0.4])
def test_a_rate_is_met_from_below(model: Autoencoder, photo: Pixels, bpp: float) -> None:
    data = isthmus.compress(photo, bpp=bpp, model=model)
    rate = 8 * len(data) / (photo.shape[0] * photo.shape[1])
    assert 0.97 * bpp < rate <= bpp


def test_a_fidelity_is_met_from_above(model: Autoencoder, photo: Pixels) -> None:
    low, high = (psnr(photo, _round_trip(photo, model, quality=q)) for q in (1, 100))
    asked = 0.4 * low + 0.6 * high
    result = psnr(photo, _round_trip(photo, model, psnr=asked))
    assert asked - 1e-9 <= result < asked + 0.3


def test_what_cannot_be_met_gives_the_nearest(model: Autoencoder, photo: Pixels) -> None:
    image = photo[:64, :64]
    assert isthmus.compress(image, bpp=0.01, model=model) == isthmus.compress(image, quality=1, model=model)
    best = isthmus.compress(image, quality=100, model=model)
    assert isthmus.compress(image, bpp=90, model=model) == best
    assert isthmus.compress(image, psnr=99, model=model) == best


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"quality": 0}, "out of range"),
        ({"quality": 101}, "out of range"),
        ({"quality": math.nan}, "out of range"),
        ({"bpp": 0}, "out of range"),
        ({"quality": 50, "psnr": 30}, "choose one"),
        ({"preview": 5}, "out of range"),
    ],
)
def test_impossible_requests_are_refused(
    model: Autoencoder, photo: Pixels, request_: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        isthmus.compress(photo, model=model, **request_)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint16),
        np.full((4, 4, 3), 255, np.float32),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_of_8_bits_is_refused(model: Autoencoder, image: npt.NDArray[np.generic]) -> None:
    with pytest.raises(DataError):
        isthmus.compress(image, model=model)


def test_a_file_of_16_bits_is_refused(model: Autoencoder, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 5), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match="8 bits"):
        isthmus.compress(tmp_path / "deep.png", model=model)


def test_orientation_is_applied_and_metadata_kept(model: Autoencoder, photo: Pixels, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a cat"
    Image.fromarray(photo[:40, :60]).save(tmp_path / "c.jpg", exif=exif, icc_profile=b"profile", quality=95)
    data = isthmus.compress(tmp_path / "c.jpg", quality=100, model=model)
    contents = container.read_container(data)
    assert contents.header.size == (60, 40)
    assert bytes(contents.chunks[container.ICC, 0]) == b"profile"
    expected_exif = Image.Exif()
    expected_exif.load(bytes(contents.chunks[container.EXIF, 0]))
    assert 0x0112 not in expected_exif
    assert expected_exif[0x010E] == "a cat"
    upright = np.rot90(photo[:40, :60], -1)
    shown = isthmus.decompress(data, model=model)
    assert psnr(upright, shown) > psnr(upright[::-1], shown) + 3


def test_the_file_alone_is_decoded_with_its_own_model_only(photo: Pixels, model: Autoencoder) -> None:
    data = bytearray(isthmus.compress(photo[:20, :20], model=model))
    contents = container.read_container(bytes(data))
    other = container.ContainerHeader(**{**vars(contents.header), "model": b"another!"})
    with pytest.raises(CompressedFileError, match="made with another model") as caught:
        isthmus.decompress(
            container.write_container(other, [bytes(v) for v in contents.chunks.values()]), model=model
        )
    assert caught.value.hint is not None


def test_an_untrained_model_without_tables_is_refused(photo: Pixels) -> None:
    fresh = build(recipe("codec").with_settings(["code=4@8", "backbone.width=4"]), channels=3, size=(16, 16))
    with pytest.raises(CapabilityError, match="no tables"):
        isthmus.compress(photo, model=fresh)


def test_another_recipe_is_refused(photo: Pixels) -> None:
    plain = build(recipe("conv").with_settings(["code=4@8", "backbone.width=4"]), channels=3, size=(16, 16))
    with pytest.raises(CapabilityError, match="cannot compress"):
        isthmus.compress(photo, model=plain)


def test_tables_that_fail_their_own_proof_are_refused(photo: Pixels) -> None:
    other = isthmus.load(MODEL)
    tensors = other.attachments["codec"].tensors
    tensors["proof.bytes"] = tensors["proof.bytes"].clone()
    tensors["proof.bytes"][4] += 1
    with pytest.raises(ModelFileError, match="own test"):
        isthmus.compress(photo, model=other)


@pytest.mark.parametrize("change", ["shorter", "flipped", "another", "missing"])
def test_damaged_tables_are_refused(photo: Pixels, change: str) -> None:
    other = isthmus.load(MODEL)
    tensors = other.attachments["codec"].tensors
    band = tensors.pop("band.1")
    if change == "shorter":
        tensors["band.1"] = band[:-9]
    elif change == "flipped":
        tensors["band.1"] = torch.cat([band[:300], band[300:301] ^ 8, band[301:]])
    elif change == "another":
        tensors["band.1"] = tensors["proof.bytes"]
    with pytest.raises(ModelFileError, match="damaged"):
        isthmus.compress(photo, model=other)


def test_a_preview_needs_no_model(model: Autoencoder, photo: Pixels) -> None:
    data = isthmus.compress(photo, model=model, preview=48)
    small = isthmus.read_preview(data)
    assert small is not None
    assert small.shape == (32, 48, 3)
    assert isthmus.read_preview(isthmus.compress(photo[:9, :9], model=model)) is None


def _round_trip(image: Pixels, model: Autoencoder, **request: float) -> Pixels:
    data = isthmus.compress(image, model=model, **request)  # type: ignore[arg-type]
    return isthmus.decompress(data, model=model)


def test_every_kind_of_image_is_the_same_picture(
    model: Autoencoder, photo: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    expected = isthmus.compress(photo, model=model)
    Image.fromarray(photo).save(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    planes = torch.from_numpy(photo.reshape(*photo.shape[:2], -1)).permute(2, 0, 1)[None]
    kinds = (tmp_path / "x.png", data, io.BytesIO(data), Image.fromarray(photo), planes, photo / 255)
    for image in (*kinds, (planes / 255).requires_grad_(), (photo / 255).astype(">f4")):
        assert isthmus.compress(image, model=model) == expected
    for image, span in (
        (photo.astype(float), (0, 255)),
        (photo.astype(np.int16) - 128, (-128, 127)),
        (Image.fromarray(photo), (0, 255)),
    ):
        assert isthmus.compress(image, range=span, model=model) == expected
    with pytest.raises(DataError) as caught:
        isthmus.compress(photo.astype(float), model=model)
    assert "range=(0, 255)" in str(caught.value.hint)


def test_views_and_open_files_are_taken(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    data = isthmus.compress(image[::-1, ::-1])
    np.testing.assert_array_equal(
        isthmus.decompress(data), isthmus.decompress(isthmus.compress(image[::-1, ::-1].copy()))
    )
    (tmp_path / "a.isth").write_bytes(data)
    with (tmp_path / "a.isth").open("rb") as stream:
        np.testing.assert_array_equal(isthmus.decompress(stream), isthmus.decompress(data))
