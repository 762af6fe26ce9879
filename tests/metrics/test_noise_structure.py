"""Blocks of JPEG and noise of whole lines, found in images."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from isthmus.metrics.noise import has_jpeg_blocks, has_line_noise, luminance

PHOTOS = {name: np.ascontiguousarray(getattr(data, name)()[60:252, 60:316]) for name in ("camera", "coffee")}


def add(photo: np.ndarray, noise: np.ndarray) -> np.ndarray:
    noise = noise if photo.ndim == 2 else noise[..., None]
    return np.asarray((photo + noise).round().clip(0, 255), np.uint8)


def white(photo: np.ndarray, sigma: float = 20) -> np.ndarray:
    return add(photo, sigma * np.random.default_rng(0).normal(size=photo.shape[:2]))


def saved(image: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def luma(image: np.ndarray) -> np.ndarray:
    return luminance(image[..., None] if image.ndim == 2 else image, 255)


@pytest.fixture(params=list(PHOTOS))
def photo(request: pytest.FixtureRequest) -> np.ndarray:
    return PHOTOS[request.param]


@pytest.mark.parametrize("quality", [30, 75, 90])
def test_blocks_of_a_noisy_jpeg_also_after_cropping(photo: np.ndarray, quality: int) -> None:
    coded = saved(white(photo), quality)
    for top, left in ((0, 0), (3, 5), (7, 1)):
        assert has_jpeg_blocks(luma(coded[top:, left:]))


def test_images_that_are_no_jpeg(photo: np.ndarray) -> None:
    assert not has_jpeg_blocks(luma(white(photo)))
    assert not has_jpeg_blocks(luma(white(saved(photo, 75))))  # noise after the coding
    assert not has_jpeg_blocks(np.zeros((64, 64)))
    assert not has_jpeg_blocks(np.zeros((9, 200)))


@pytest.mark.parametrize("axis", [0, 1])
def test_lines(photo: np.ndarray, axis: int) -> None:
    count = photo.shape[axis]
    lines = 10 * np.random.default_rng(1).normal(size=(count, 1) if axis == 0 else (1, count))
    assert has_line_noise(luma(add(white(photo), lines)))


def test_edges_and_bars_are_no_lines(photo: np.ndarray) -> None:
    assert not has_line_noise(luma(photo))
    noisy = white(photo)
    assert not has_line_noise(luma(noisy))
    noisy[:40] = noisy[-40:] = noisy[:, :30] = 0
    assert not has_line_noise(luma(noisy))
    assert not has_line_noise(np.zeros((64, 64)))
