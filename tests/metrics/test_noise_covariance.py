"""Noise of an image whose parts carry none, and its covariance between channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from skimage import data

from isthmus.errors import DataError
from isthmus.metrics.noise_covariance import estimate_noise_covariance, white_level

Array = npt.NDArray[Any]
PHOTOS = {name: getattr(data, name)()[:256, 60:316] for name in ("camera", "chelsea", "coffee", "astronaut")}
SIGMA = 25.0


def add_noise(image: Array, sigma: float = SIGMA, seed: int = 0) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=image.shape)
    noisy: npt.NDArray[np.uint8] = (image + sigma * noise).round().clip(0, 255).astype(np.uint8)
    return noisy


@pytest.fixture(params=list(PHOTOS))
def photo(request: pytest.FixtureRequest) -> Array:
    image: Array = PHOTOS[request.param]
    return image


def assert_found(image: Array, sigma: float = SIGMA, **options: Any) -> None:
    result = estimate_noise_covariance(image, **options)
    assert result.sigma == pytest.approx(sigma, rel=0.1)
    assert abs(result.sigma - sigma) <= 3 * result.error


@pytest.mark.parametrize("sigma", [10.0, 25.0, 50.0])
def test_white_noise(photo: Array, sigma: float) -> None:
    assert_found(add_noise(photo, sigma), sigma)


@pytest.mark.parametrize("level", [0, 255, 40])
def test_letterbox(photo: Array, level: int) -> None:
    noisy = add_noise(photo)
    noisy[:50] = noisy[-50:] = level
    assert_found(noisy)


def test_border_of_two_colours(photo: Array) -> None:
    noisy = add_noise(photo)
    noisy[:40] = noisy[:, :40] = 255
    noisy[-40:] = noisy[:, -40:] = 17
    assert_found(noisy)


def test_blown_out_sky(photo: Array) -> None:
    noisy = add_noise(photo)
    noisy[:140] = 255
    assert_found(noisy)


def test_round_field_of_view(photo: Array) -> None:
    noisy = add_noise(photo)
    rows, columns = np.indices(photo.shape[:2]) - 128
    noisy[rows**2 + columns**2 > 110**2] = 0
    assert_found(noisy)


def test_transparent_parts_are_not_looked_at(photo: Array) -> None:
    noisy = add_noise(photo)
    opaque = np.zeros(photo.shape[:2], bool)
    opaque[30:200, 20:180] = True
    noisy[~opaque] = np.random.default_rng(1).integers(0, 256, noisy[~opaque].shape)  # garbage
    assert_found(noisy, opaque=opaque)


@pytest.mark.parametrize("axis", [0, 1])
def test_half_noisy(photo: Array, axis: int) -> None:
    noisy = add_noise(photo)
    clean = (slice(None, 128),) if axis == 0 else (slice(None), slice(None, 128))
    noisy[clean] = photo[clean]
    assert_found(noisy)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_uint16_that_uses_a_part_of_its_range(photo: Array, bits: int) -> None:
    top = 2**bits - 1
    noise = SIGMA * np.random.default_rng(0).normal(size=photo.shape)
    noisy = ((photo + noise) * top / 255).round().clip(0, top).astype(np.uint16)
    assert white_level(noisy[..., None] if noisy.ndim == 2 else noisy) == top
    assert_found(noisy)


def test_clipped_noise_is_measured_as_it_was(photo: Array) -> None:
    assert_found(add_noise(photo * 0.2))


def test_clean_photographs_have_little_noise(photo: Array) -> None:
    assert estimate_noise_covariance(photo).sigma < 4


def test_gray_as_rgb_is_one_noise() -> None:
    noisy = add_noise(PHOTOS["camera"])
    result = estimate_noise_covariance(np.repeat(noisy[..., None], 3, 2))
    assert result.correlation == pytest.approx(np.ones((3, 3)), abs=1e-6)
    assert result.sigma == pytest.approx(estimate_noise_covariance(noisy).sigma, rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_correlation_of_channels(name: str, share: float) -> None:
    photo, random = PHOTOS[name] * 0.6 + 50, np.random.default_rng(0)
    common, own = random.normal(size=(*photo.shape[:2], 1)), random.normal(size=photo.shape)
    noisy = photo + 20 * (share**0.5 * common + (1 - share) ** 0.5 * own)
    result = estimate_noise_covariance(noisy.round().clip(0, 255).astype(np.uint8))
    assert result.correlation[np.triu_indices(3, 1)] == pytest.approx(np.full(3, share), abs=0.12)
    assert result.covariance.diagonal() == pytest.approx(np.full(3, 400.0), rel=0.2)


def test_noise_between_neighbours_is_coarse() -> None:
    photo, random = PHOTOS["camera"] * 0.6 + 50, np.random.default_rng(0)
    white = random.normal(size=photo.shape)
    soft = white + np.roll(white, 1, 0) + np.roll(white, 1, 1)
    assert estimate_noise_covariance(add_noise(photo)).coarseness == pytest.approx(1, abs=0.2)
    coarse = photo + 20 * soft / soft.std()
    assert estimate_noise_covariance(coarse.clip(0, 255).astype(np.uint8)).coarseness > 1.5


def test_the_level_of_correlated_noise_shows_in_means() -> None:
    small = np.random.default_rng(0).normal(size=(128, 128)) * 25
    enlarged = ndimage.zoom(small, 2, order=3)  # white noise of half the size, cubic
    photo = PHOTOS["camera"] * 0.5 + 60
    result = estimate_noise_covariance((photo + enlarged).clip(0, 255).astype(np.uint8))
    assert result.coarseness > 1.5
    assert 0.65 < result.coarse_sigma / float(enlarged.std()) < 1.1
    assert result.coarse_sigma > 5 * result.sigma


def test_floats_and_integers_agree() -> None:
    noisy = add_noise(PHOTOS["chelsea"])
    result = estimate_noise_covariance(noisy)
    assert estimate_noise_covariance((noisy / 255).astype(np.float32)).sigma == pytest.approx(
        result.sigma, rel=1e-3
    )
    assert 0 < result.share <= 1 and result.windows >= 1 and result.error > 0


def test_nothing_but_flat_samples_is_no_noise() -> None:
    result = estimate_noise_covariance(np.full((64, 80, 3), 255, np.uint8))
    assert (result.sigma, result.windows, result.share) == (0.0, 0, 0.0)
    assert result.covariance.shape == (3, 3) and not result.covariance.any()


def test_pure_noise_of_any_size() -> None:
    for size in ((16, 16), (17, 90), (500, 70)):
        assert estimate_noise_covariance(add_noise(np.full(size, 128.0), 12)).sigma == pytest.approx(
            12, rel=0.2
        )


def test_unusable_images_are_refused() -> None:
    with pytest.raises(DataError, match="too small"):
        estimate_noise_covariance(np.zeros((15, 100), np.uint8))
    with pytest.raises(DataError, match="NaN"):
        estimate_noise_covariance(np.full((20, 20), np.nan))
    with pytest.raises(DataError, match="opacity"):
        estimate_noise_covariance(np.zeros((20, 20), np.uint8), opaque=np.ones((20, 21), bool))
