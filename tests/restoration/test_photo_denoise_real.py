"""The shipped `photo-denoise-real` on noise that is not white: better than the specialists of white noise."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from skimage import data

import isthmus

Array = npt.NDArray[np.uint8]
PHOTO: Array = np.ascontiguousarray(data.astronaut()[60:252, 100:292])
MODEL, SPECIALIST = "photo-denoise-real", "photo-denoise-colour"


def to_uint8(values: Any) -> Array:
    pixels: Array = np.asarray(values).round().clip(0, 255).astype(np.uint8)
    return pixels


def psnr(image: Array, clean: Array) -> float:
    return float(10 * np.log10(255**2 / np.square(image.astype(float) - clean).mean()))


def gray_as_rgb(random: np.random.Generator) -> tuple[Array, Array]:
    gray = np.asarray(Image.fromarray(PHOTO).convert("L"))
    noisy = to_uint8(gray + 25 * random.normal(size=gray.shape))
    return np.repeat(noisy[..., None], 3, 2), np.repeat(gray[..., None], 3, 2)


def correlated(random: np.random.Generator) -> tuple[Array, Array]:
    common, own = random.normal(size=(*PHOTO.shape[:2], 1)), random.normal(size=PHOTO.shape)
    return to_uint8(PHOTO + 25 * (0.5**0.5 * common + 0.5**0.5 * own)), PHOTO


def saved_as_jpeg(random: np.random.Generator) -> tuple[Array, Array]:
    stream = io.BytesIO()
    Image.fromarray(to_uint8(PHOTO + 25 * random.normal(size=PHOTO.shape))).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream)), PHOTO


def in_one_half(random: np.random.Generator) -> tuple[Array, Array]:
    noisy = to_uint8(PHOTO + 25 * random.normal(size=PHOTO.shape))
    noisy[:96] = PHOTO[:96]
    return noisy, PHOTO


@pytest.mark.parametrize("make", [correlated, saved_as_jpeg, in_one_half])
def test_more_is_gained_than_by_the_specialist(make: Any) -> None:
    noisy, clean = make(np.random.default_rng(0))
    restored = psnr(isthmus.denoise(noisy, model=MODEL), clean)
    assert restored > psnr(isthmus.denoise(noisy, model=SPECIALIST), clean) + 0.3
    assert restored > psnr(noisy, clean) + 5


def test_equal_channels_stay_equal() -> None:
    noisy, _ = gray_as_rgb(np.random.default_rng(1))
    restored = isthmus.denoise(noisy, model=MODEL)
    assert (restored == restored[..., :1]).all()
    as_gray = isthmus.denoise(np.ascontiguousarray(noisy[..., 0]), model=MODEL)
    assert np.abs(as_gray.astype(int) - restored[..., 0]).max() <= 1


def test_a_clean_picture_keeps_its_texture() -> None:
    for clean in (PHOTO, np.ascontiguousarray(data.gravel()[:192, :192])):
        assert psnr(isthmus.denoise(clean, model=MODEL), clean) > 40
