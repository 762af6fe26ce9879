"""The estimated noise level, on real photographs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from skimage import data

from isthmus.errors import DataError
from isthmus.metrics.noise import estimate_sigma, measure_noise

PHOTOS = {n: getattr(data, n) for n in ("camera", "chelsea", "coffee", "astronaut")}


def noisy(image: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    noise = np.random.default_rng(1).normal(size=image.shape) * sigma / 255
    return (image + noise).astype(np.float32)


def photo(name: str) -> npt.NDArray[np.float32]:
    return np.asarray(PHOTOS[name]() / 255, dtype=np.float32)


@pytest.mark.parametrize("sigma", [10.0, 25.0, 50.0])
@pytest.mark.parametrize("name", PHOTOS)
def test_the_level_is_found_within_a_tenth(name: str, sigma: float) -> None:
    assert estimate_sigma(noisy(photo(name), sigma)) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photograph_as_it_is_has_little_noise(name: str) -> None:
    assert estimate_sigma(photo(name)) < 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_of_any_width_are_measured_alike(dtype: type[np.integer[Any]]) -> None:
    noisy_image = noisy(photo("camera"), 20).clip(0, 1)
    levels = (noisy_image * np.iinfo(dtype).max).round().astype(dtype)
    assert estimate_sigma(levels) == pytest.approx(estimate_sigma(noisy_image), rel=0.02)


def test_pure_noise_of_any_size_down_to_the_smallest() -> None:
    for size in ((8, 9), (16, 16), (40, 17), (2000, 1500)):
        noisy_image = noisy(np.full(size, 0.5, np.float32), 12)
        assert estimate_sigma(noisy_image) == pytest.approx(12, rel=0.35 if max(size) < 100 else 0.05)
    with pytest.raises(DataError, match="too small"):
        estimate_sigma(np.zeros((7, 100)))


@pytest.mark.parametrize("sigma", [15.0, 30.0, 50.0])
@pytest.mark.parametrize("name", PHOTOS)
def test_noise_that_a_file_cut_off_is_known_and_measured_as_it_was(name: str, sigma: float) -> None:
    levels = (noisy(photo(name), sigma) * 255).round().clip(0, 255).astype(np.uint8)
    result = measure_noise(levels)
    assert result.sigma == pytest.approx(sigma, rel=0.1)
    dark = (photo(name) < sigma / 255 / 2).mean() > 0.02
    assert result.black or not dark
    assert measure_noise(levels, sigma).black == result.black


def test_noise_that_reaches_beyond_black_was_not_cut_off() -> None:
    result = measure_noise(noisy(photo("astronaut"), 30))
    assert not result.black
    assert not result.white


def test_dark_parts_with_little_noise_of_their_own_were_not_cut_off() -> None:
    clean = photo("camera")
    noise = np.random.default_rng(0).normal(size=clean.shape) * (clean * 0.2)  # grows with the light
    levels = ((clean + noise) * 255).round().clip(0, 255).astype(np.uint8)
    assert not measure_noise(levels, 30).black
