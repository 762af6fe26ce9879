"""Denoising: better pictures, every kind of array back as it came, and one clear line otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import IsthmusError, UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.restoration.network_pass import SIGMAS, from_planes, to_planes

from .conftest import noisy, picture, psnr


@pytest.mark.parametrize(("sigma", "gain"), [(10.0, 0.5), (25.0, 3.0), (50.0, 5.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_goes(denoiser: Autoencoder, sigma: float, gain: float, channels: int) -> None:
    clean = picture(70, 90, channels=channels, seed=5)
    noisy_image = noisy(clean, sigma)
    assert (
        psnr(isthmus.denoise(noisy_image, sigma, denoiser), clean)
        > psnr(noisy_image.clip(0, 1), clean) + gain
    )


def test_the_noise_level_is_estimated_when_it_is_not_given(denoiser: Autoencoder) -> None:
    clean = picture(128, 128, seed=5)
    noisy_image = noisy(clean, 30)
    with_level, without_level = (
        isthmus.denoise(noisy_image, 30, denoiser),
        isthmus.denoise(noisy_image, None, denoiser),
    )
    assert psnr(without_level, clean) > psnr(with_level, clean) - 0.3


def test_dark_parts_of_a_file_do_not_come_back_too_bright(denoiser: Autoencoder) -> None:
    clean = picture(128, 128, seed=5) * 0.3
    clean[clean < 0.1] = 0.01
    noisy_image = (noisy(clean, 30) * 255).round().clip(0, 255).astype(np.uint8)
    dark = clean == np.float32(0.01)
    assert noisy_image[dark].mean() > 12  # cut noise shows more light than there is
    for sigma in (30, None):
        assert isthmus.denoise(noisy_image, sigma, denoiser)[dark].mean() < 7


def test_noise_beyond_what_the_network_knows_is_reduced_too(denoiser: Autoencoder) -> None:
    clean = picture(64, 64, seed=6)
    noisy_image = noisy(clean, 110)
    assert psnr(isthmus.denoise(noisy_image, 110, denoiser), clean) > psnr(noisy_image.clip(0, 1), clean) + 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(21, 34), (21, 34, 1), (21, 34, 3)])
def test_numpy_comes_back_as_it_went(denoiser: Autoencoder, dtype: Any, shape: tuple[int, ...]) -> None:
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = (picture(21, 34, channels=shape[2] if len(shape) > 2 else 1) * top).astype(dtype).reshape(shape)
    before = image.copy()
    image.flags.writeable = False
    denoised = isthmus.denoise(image, 15, denoiser)
    assert denoised.shape == shape
    assert denoised.dtype == dtype
    assert np.array_equal(image, before)
    assert np.abs(denoised / top - image / top).mean() < 0.1
    assert denoised.min() >= 0
    assert denoised.max() <= top


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_tensors_come_back_as_they_went(denoiser: Autoencoder, dtype: torch.dtype, channels: int) -> None:
    both = np.stack([picture(20, 30, channels=channels, seed=i) for i in range(2)]).transpose(0, 3, 1, 2)
    given = torch.from_numpy(both * (255 if dtype == torch.uint8 else 1)).to(dtype)
    denoised = isthmus.denoise(given, 15, denoiser)
    assert denoised.shape == given.shape
    assert denoised.dtype == dtype
    alone = isthmus.denoise(given[1:], 15, denoiser)
    assert torch.equal(denoised[1:], alone)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_not_touched(denoiser: Autoencoder, dtype: Any, channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, channels)).astype(dtype)
    denoised = isthmus.denoise(image, 20, denoiser)
    assert np.array_equal(denoised[..., -1], image[..., -1])
    assert np.array_equal(denoised[..., :-1], isthmus.denoise(image[..., :-1], 20, denoiser))


def test_opponent_axes_keep_white_noise_white_and_lead_back() -> None:
    noise = torch.randn(4, 3, 100, 100, generator=torch.Generator().manual_seed(0))
    planes = to_planes(noise)
    torch.testing.assert_close(from_planes(planes), noise, atol=1e-5, rtol=1e-5)
    deviations = planes.view(4, 3, -1).std(dim=(0, 2))
    torch.testing.assert_close(deviations, torch.tensor(SIGMAS), rtol=0.02, atol=0)
    flat = planes.view(4, 3, -1).transpose(0, 1).reshape(3, -1)
    assert (torch.corrcoef(flat) - torch.eye(3)).abs().max() < 0.02


@pytest.mark.parametrize(
    ("image", "sigma", "words"),
    [
        (np.full((20, 20), np.nan), 10, "NaN"),
        (np.full((20, 20), np.nan), None, "NaN"),
        (np.zeros((1, 1)), None, "too small"),
        (np.zeros((20, 20, 5)), 10, "channels, not of 5"),
        (np.zeros((0, 20)), 10, "no pixels"),
        (np.zeros((20, 20), int), 10, "uint8"),
        (np.zeros((20, 20)), -1, "sigma=-1"),
        (np.zeros((20, 20)), float("nan"), "sigma=nan"),
        (torch.zeros(20, 20), 10, r"\(N, C, H, W\)"),
    ],
)
def test_what_cannot_be_denoised_is_said_in_one_line(
    denoiser: Autoencoder, image: Any, sigma: float | None, words: str
) -> None:
    with pytest.raises(IsthmusError, match=words) as refused:
        isthmus.denoise(image, sigma, denoiser)
    assert "\n" not in str(refused.value)


def test_one_pixel_is_denoised_when_the_level_is_told(denoiser: Autoencoder) -> None:
    assert isthmus.denoise(np.full((1, 1), 0.5, np.float32), 5, denoiser).shape == (1, 1)


def test_a_model_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="neither a model file nor a shipped model"):
        isthmus.denoise(np.zeros((9, 9)), 5, "photo-denoize")


@pytest.mark.parametrize(("sigma", "model"), [(5, "photo-denoise-colour"), (25, "photo-denoise-gray")])
def test_bfloat16_costs_two_hundredths_of_a_decibel(
    sigma: float, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used where the device multiplies it; what it would give is computed everywhere."""
    clean = picture(96, 96, channels=1 if model.endswith("gray") else 3, seed=3)
    noisy_image = noisy(clean, sigma)
    quality = []
    for narrow in (False, True):
        monkeypatch.setattr(
            "isthmus.restoration.network_pass.multiplies_bfloat16", lambda _, narrow=narrow: narrow
        )
        quality.append(psnr(isthmus.denoise(noisy_image, sigma, model), clean))
    assert quality[0] != quality[1]
    assert abs(quality[0] - quality[1]) < 0.02
