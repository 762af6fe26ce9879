"""What `denoise` finds and chooses for photographs as people have them, and how much of the noise goes."""

from __future__ import annotations

import io
import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from skimage import data

import isthmus
from isthmus.errors import UsageError
from isthmus.restoration.denoising import denoise_image
from isthmus.restoration.noise_choice import REAL, WHITE, DenoisingPlan, plan_denoising, whiten

Array = npt.NDArray[Any]
SIGMA = 25.0
COLOUR: Array = np.ascontiguousarray(data.coffee()[60:252, 150:406])
GRAY: Array = np.ascontiguousarray(data.camera()[60:252, 150:406])
LUMINANCE = np.array([0.299, 0.587, 0.114])


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def to_uint8(values: Any) -> Array:
    return np.asarray(values).round().clip(0, 255).astype(np.uint8)


def add_noise(image: Array, sigma: float = SIGMA, seed: int = 0) -> Array:
    return to_uint8(image + sigma * random(seed).normal(size=image.shape))


def jpeg(image: Array, quality: int) -> Array:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def psnr(image: Array, clean: Array) -> float:
    return float(10 * np.log10(255**2 / np.square(np.asarray(image, float) - clean).mean()))


def correlated(image: Array, share: float, sigma: float, seed: int = 0) -> Array:
    common, own = (
        random(seed).normal(size=image.shape[:2])[..., None],
        random(seed + 1).normal(size=image.shape),
    )
    return to_uint8(image + sigma * (share**0.5 * common + (1 - share) ** 0.5 * own))


def denoise(image: Any, **options: Any) -> tuple[Array, DenoisingPlan]:
    result, (plan,) = denoise_image(image, **options)
    return np.asarray(result), plan


def test_gray_stored_as_colour_is_denoised_as_gray() -> None:
    noisy = add_noise(GRAY)
    gray, _ = denoise(noisy)
    colour, plan = denoise(np.repeat(noisy[..., None], 3, 2))
    assert plan.model == WHITE[1]
    assert (colour == colour[..., :1]).all()
    assert psnr(colour[..., 0], GRAY) == pytest.approx(psnr(gray, GRAY), abs=0.05)
    assert psnr(colour[..., 0], GRAY) > psnr(noisy, GRAY) + 7
    tensor = torch.from_numpy(noisy)[None, None].expand(1, 3, -1, -1)
    assert np.array_equal(isthmus.denoise(tensor)[0].permute(1, 2, 0).numpy(), colour)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_noise_common_to_the_channels(share: float) -> None:
    noisy = correlated(COLOUR, share, SIGMA)
    result, plan = denoise(noisy)
    assert plan.model == WHITE[3] and plan.axes is not None
    assert plan.sigma == pytest.approx(SIGMA, rel=0.1)
    # White noise of the same deviation of luminance.
    equal = SIGMA * np.sqrt(((1 - share) * LUMINANCE @ LUMINANCE + share) / (LUMINANCE @ LUMINANCE))
    white, _ = denoise(add_noise(COLOUR, float(equal)))
    assert psnr(result, COLOUR) > psnr(white, COLOUR) - 0.7
    blind = isthmus.denoise(noisy, model=REAL)
    assert psnr(result, COLOUR) > psnr(blind, COLOUR)


def test_noise_of_another_level_in_each_channel() -> None:
    noisy = to_uint8(COLOUR + random().normal(size=COLOUR.shape) * (8, 12, 40))
    result, plan = denoise(noisy)
    assert (plan.model, plan.axes) == (WHITE[3], None)
    assert plan.sigma == pytest.approx(float(np.sqrt((64 + 144 + 1600) / 3)), rel=0.1)
    assert psnr(result, COLOUR) > psnr(noisy, COLOUR) + 8


def test_noise_of_photons() -> None:
    noisy = to_uint8(random().poisson(COLOUR / 255 * 60) * (255 / 60))
    result, plan = denoise(noisy)
    assert plan.model == WHITE[3]
    assert psnr(result, COLOUR) > psnr(isthmus.denoise(noisy, model=REAL), COLOUR)


def test_whitening_makes_a_covariance_white() -> None:
    covariance = np.array([[9.0, 3.0, 1.0], [3.0, 12.0, 2.0], [1.0, 2.0, 6.0]])
    axes, sigma = whiten(covariance)
    assert axes is not None
    matrix = axes.double().numpy()
    np.testing.assert_allclose(matrix @ covariance @ matrix.T, sigma**2 * np.eye(3), atol=1e-4)
    assert float(torch.linalg.matrix_norm(axes, 2)) == pytest.approx(1)  # no colour is exaggerated
    axes, sigma = whiten(np.diag([100.0, 101.0, 99.0]))
    assert axes is None
    assert sigma == pytest.approx(10)
    assert whiten(np.array([[25.0]])) == (None, 5)


@pytest.mark.parametrize("quality", [75, 90])
def test_white_noise_that_was_saved_as_jpeg(quality: int) -> None:
    noisy = jpeg(add_noise(COLOUR), quality)
    result, plan = denoise(noisy)
    assert plan.model == WHITE[3] and "JPEG" in plan.reason
    assert plan.sigma == pytest.approx(SIGMA, rel=0.1)
    assert psnr(result, COLOUR) > psnr(isthmus.denoise(noisy, SIGMA), COLOUR) - 0.3
    assert psnr(result, COLOUR) > psnr(isthmus.denoise(noisy, model=REAL), COLOUR) + 0.5
    cropped, plan = denoise(noisy[3:, 5:])
    assert "JPEG" in plan.reason
    assert psnr(cropped, COLOUR[3:, 5:]) > psnr(noisy, COLOUR) + 6


def test_noise_that_jpeg_rounded_away_in_part() -> None:
    noisy = jpeg(add_noise(COLOUR, 15), 40)
    result, plan = denoise(noisy)
    assert plan.model == REAL
    assert psnr(result, COLOUR) > psnr(noisy, COLOUR) + 1


def letterbox(noisy: Array) -> Array:
    noisy[:40] = noisy[-40:] = 0
    return noisy


def border(noisy: Array) -> Array:
    noisy[:30] = noisy[-30:] = noisy[:, :30] = noisy[:, -30:] = 255
    return noisy


def blown_out(noisy: Array) -> Array:
    noisy[:100] = 255
    return noisy


def round_field(noisy: Array) -> Array:
    rows, columns = np.indices(noisy.shape[:2]) - np.array(noisy.shape[:2])[:, None, None] // 2
    noisy[rows**2 + columns**2 > 85**2] = 0
    return noisy


@pytest.mark.parametrize("spoil", [letterbox, border, blown_out, round_field])
@pytest.mark.parametrize("clean", [GRAY, COLOUR], ids=["gray", "colour"])
def test_parts_without_noise_do_not_hide_it(spoil: Any, clean: Array) -> None:
    noisy, truth = spoil(add_noise(clean)), spoil(clean.copy())
    result, plan = denoise(noisy)
    assert plan.sigma == pytest.approx(SIGMA, rel=0.1) and plan.model == WHITE[1 if clean.ndim == 2 else 3]
    assert psnr(result, truth) > psnr(noisy, truth) + 5


@pytest.mark.parametrize("hidden", [0, 255, "garbage"])
def test_transparent_parts_do_not_count(hidden: Any) -> None:
    noisy = add_noise(COLOUR)
    alpha = np.full(COLOUR.shape[:2], 255, np.uint8)
    alpha[:, 128:] = 0
    noisy[:, 128:] = random(3).integers(0, 256, noisy[:, 128:].shape) if hidden == "garbage" else hidden
    result, plan = denoise(np.dstack([noisy, alpha]))
    assert plan.sigma == pytest.approx(SIGMA, rel=0.1) and plan.model == WHITE[3]
    assert np.array_equal(result[..., 3], alpha)
    shown = np.s_[:, :120, :3]
    assert psnr(result[shown], COLOUR[shown]) > psnr(noisy[shown], COLOUR[shown]) + 6


@pytest.mark.parametrize("scale", [1, 4, 12, 257])
def test_uint16_of_any_used_range(scale: int) -> None:
    noise = SIGMA * random().normal(size=GRAY.shape)
    deep = ((GRAY + noise) * scale).round().clip(0, 65535).astype(np.uint16)
    result, plan = denoise(deep)
    assert result.dtype == np.uint16
    expected = psnr(isthmus.denoise(((GRAY + noise) / 255).astype(np.float32)) * 255, GRAY)
    assert psnr(result / scale, GRAY) > expected - 0.2
    with_sigma = isthmus.denoise(deep, plan.sigma)  # in the units in which it was found
    assert psnr(with_sigma / scale, GRAY) > expected - 0.2


def test_highlights_above_the_assumed_white_are_kept() -> None:
    ramp = np.broadcast_to(np.linspace(100, 1090, 192), (128, 192))  # ten bits, and a little more
    noisy = (ramp + 30 * random().normal(size=ramp.shape)).round().clip(0, 65535).astype(np.uint16)
    result = isthmus.denoise(noisy)
    assert np.abs(result[:, 150:].astype(float) - ramp[:, 150:]).max() < 40


@pytest.mark.parametrize("image", [GRAY, COLOUR, (GRAY * 257.0).astype(np.uint16), GRAY / 255])
def test_sigma_0_returns_the_image(image: Array) -> None:
    assert np.array_equal(isthmus.denoise(image, 0), image)
    checker = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.array_equal(isthmus.denoise(checker, 0), checker)


def test_flat_images_come_back_as_they_are() -> None:
    for value in (0, 128, 255):
        flat = np.full((64, 80, 3), value, np.uint8)
        assert np.array_equal(isthmus.denoise(flat), flat)


def test_strength_scales_the_effect() -> None:
    noisy = add_noise(COLOUR)
    full_result = isthmus.denoise(noisy, SIGMA).astype(float)
    assert np.array_equal(isthmus.denoise(noisy, SIGMA, strength=0), noisy)
    half = isthmus.denoise(noisy, SIGMA, strength=0.5)
    assert np.abs(half - (noisy + full_result) / 2).max() <= 1
    for strength in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match="strength"):
            isthmus.denoise(noisy, strength=strength)


@pytest.mark.parametrize("name", ["astronaut", "gravel", "brick", "rocket", "immunohistochemistry"])
def test_clean_pictures_keep_their_texture(name: str) -> None:
    clean = np.ascontiguousarray(getattr(data, name)()[:192, :192])
    result, _ = denoise(clean)
    assert np.square(result.astype(float) - clean).mean() < 255**2 * 1e-4  # 40 dB


def test_noise_of_rows_or_columns() -> None:
    for shape in ((192, 1, 1), (1, 256, 1)):
        noisy = to_uint8(COLOUR + 10 * random().normal(size=shape) + 12 * random(1).normal(size=COLOUR.shape))
        result, plan = denoise(noisy)
        assert plan.model == REAL and "rows" in plan.reason
        assert psnr(result, COLOUR) > psnr(isthmus.denoise(noisy, plan.sigma), COLOUR) + 1


def test_enlarged_noise() -> None:
    size = (COLOUR.shape[1], COLOUR.shape[0])
    small = np.asarray(Image.fromarray(COLOUR).resize((128, 96), Image.Resampling.LANCZOS))
    clean = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))
    noisy = np.asarray(Image.fromarray(add_noise(small)).resize(size, Image.Resampling.BICUBIC))
    result, plan = denoise(noisy)
    assert plan.model == REAL
    assert psnr(result, clean) > psnr(noisy, clean) + 4
    assert plan.sigma > 10


@pytest.mark.parametrize("axis", [0, 1])
def test_noise_in_one_half(axis: int) -> None:
    noisy = add_noise(COLOUR)
    clean_half = (slice(None, 96),) if axis == 0 else (slice(None), slice(None, 128))
    noisy[clean_half] = COLOUR[clean_half]
    result, plan = denoise(noisy)
    assert plan.sigma == pytest.approx(SIGMA, rel=0.15)
    assert psnr(result, COLOUR) > psnr(noisy, COLOUR) + 6
    assert psnr(result[clean_half], COLOUR[clean_half]) > 38


def test_a_told_level_is_white_noise() -> None:
    plan = plan_denoising(correlated(COLOUR, 0.9, SIGMA), SIGMA)
    assert (plan.model, plan.reason, plan.error, plan.axes) == (WHITE[3], "", None, None)


def test_the_choice_and_its_uncertainty_are_noted(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "isthmus"):
        isthmus.denoise(jpeg(add_noise(COLOUR), 80))
    notes: list[Any] = [item.args[0] for item in caplog.records if isinstance(item.args, tuple) and item.args]
    results = {note.id: note.fields for note in notes if hasattr(note, "id")}
    assert results["denoise.model"] == {
        "model": WHITE[3],
        "reason": "white noise that was saved as JPEG",
    }
    assert 0 < float(str(results["denoise.noise-level"]["error"])) < 2
