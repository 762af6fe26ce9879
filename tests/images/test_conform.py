"""Channels, sample types and sizes made equal without losing what need not be lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from isthmus.images.conform import conform, fit, to_channels, to_dtype
from isthmus.images.store import ImageSet

from .files import photo
from .test_store import named, ragged


@given(st.integers(0, 255))
def test_scaling_up_keeps_values_exactly(value: int) -> None:
    pixel = np.array([[[value]]], np.uint8)
    assert to_dtype(pixel, np.uint16).item() / 65535 == value / 255
    assert round(to_dtype(pixel, np.float32).item() * 255) == value
    assert to_dtype(to_dtype(pixel, np.float32), np.uint8).item() == value
    assert to_dtype(to_dtype(pixel, np.float32), np.uint16).item() == 257 * value


def test_floats_outside_the_range_are_clipped() -> None:
    pixels = np.array([-0.5, 0.5, 1.5], np.float32)
    assert to_dtype(pixels, np.uint8).tolist() == [0, 128, 255]


@given(st.integers(0, 65535), st.sampled_from([np.uint8, np.uint16]))
def test_gray_survives_colour(value: int, dtype: type[np.generic]) -> None:
    gray = np.array([[[value]]]).astype(dtype)
    assert np.array_equal(to_channels(to_channels(gray, 3), 1), gray)


@given(st.floats(0, 1, width=32))
def test_gray_floats_survive_colour(value: float) -> None:
    gray = np.full((1, 1, 1), value, np.float32)
    assert np.array_equal(to_channels(to_channels(gray, 3), 1), gray)


def test_gray_of_floats_is_weighed_as_of_levels() -> None:
    colour = photo(30, 30)
    floats = to_channels(to_dtype(colour, np.float32), 1)
    assert np.abs(255 * floats - to_channels(colour, 1)).max() <= 0.501


def test_gray_of_colour_is_pillows_luma() -> None:
    colour = photo(30, 30)
    expected = np.asarray(Image.fromarray(colour).convert("L")).astype(int)
    assert np.abs(to_channels(colour, 1)[..., 0] - expected).max() <= 1


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_flat_image_stays_flat_at_any_size(height: int, width: int, to_h: int, to_w: int) -> None:
    for dtype, value in ((np.uint8, 77), (np.uint16, 40_001), (np.float32, 0.25)):
        for channels in (1, 3):
            image = np.full((height, width, channels), value, dtype=dtype)
            resized = fit(image, (to_h, to_w))
            assert resized.shape == (to_h, to_w, channels)
            assert resized.dtype == dtype
            assert np.allclose(resized, value, atol=1e-6 if dtype == np.float32 else 0)


def test_the_centre_is_kept_and_nothing_is_stretched() -> None:
    wide = np.zeros((10, 30, 1), np.uint8)
    wide[:, 10:20] = 200
    assert (fit(wide, (10, 10)) == 200).all()
    assert np.array_equal(fit(wide.transpose(1, 0, 2), (10, 10)), fit(wide, (10, 10)))


def test_shrinking_does_not_alias() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[:, :, None]
    small = fit(stripes, (8, 8)).astype(int)
    assert np.abs(small - 127.5).max() < 12


def test_eight_and_sixteen_bits_resize_alike() -> None:
    image = photo(31, 45)
    eight, sixteen = fit(image, (16, 16)), fit(to_dtype(image, np.uint16), (16, 16))
    assert np.abs(eight - sixteen / 257).max() <= 1


def test_extreme_shapes_fit() -> None:
    assert fit(photo(3, 20_000), (32, 32)).shape == (32, 32, 3)
    assert fit(photo(1, 1), (32, 32)).shape == (32, 32, 3)


def sets() -> list[ImageSet]:
    return [named(np.stack([photo(6, 8, seed=i) for i in range(3)])), named(ragged(photo(6, 8), photo(9, 5)))]


@pytest.mark.parametrize("index", [0, 1])
def test_sets_conform_image_by_image(index: int) -> None:
    images = sets()[index]
    gray = conform(images, size=None, channels=1)
    assert gray.channels == 1
    assert all(np.array_equal(gray.image(i), to_channels(images.image(i), 1)) for i in range(len(images)))
    sized = conform(images, size=(4, 4), channels=None)
    assert sized.shape == (4, 4, 3)
    assert conform(images, size=None, channels=3) is images
