"""Corruptions: how much they do, and that a step's generator alone decides what."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from isthmus.metrics.clipped_noise import ClippedNoise
from isthmus.model import axes
from isthmus.model.corruptions import corrupt
from isthmus.model.setting import Settings
from isthmus.model.trace import Corrupted

from .cases import generator, pictures

ALL: list[Settings] = [
    axes.NoCorruption(),
    axes.GaussianNoise(sigma=30),
    axes.GaussianNoise(sigma=30, sigma_low=5, condition=True, clip=True),
    axes.SaltPepper(),
    axes.PoissonNoise(),
    *(axes.Mask(shape=shape, loss="missing") for shape in ("pixels", "blocks", "patches")),
    *(axes.Mask(shape=shape, amount_low=0.1, amount=0.9, loss="missing") for shape in ("blocks", "pixels")),
    *(axes.Mask(shape=shape, size=16, loss="missing") for shape in ("strokes", "mixed")),
    axes.Mask(shape="mixed", amount=0.95, amount_low=0.1, size=32, fill="smooth"),
    axes.Blur(),
    axes.Jpeg(),
    axes.Jpeg(quality=10, quality_high=90),
    axes.Recorrupted(sigma=20),
    axes.BlindSpot(),
]


def apply(images: Tensor, how: Settings, seed: int = 0) -> Corrupted:
    assert isinstance(how, axes.Corruption)
    return corrupt(images, how, generator(seed))


@pytest.mark.parametrize("how", ALL, ids=str)
@given(
    n=st.integers(1, 3),
    channels=st.integers(1, 4),
    height=st.integers(1, 19),
    width=st.integers(1, 19),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_shapes_ranges_and_determinism(
    how: Settings, n: int, channels: int, height: int, width: int, seed: int
) -> None:
    images = torch.rand(n, channels, height, width, generator=generator(seed))
    before = images.clone()
    first, again = apply(images, how, seed), apply(images, how, seed)
    assert torch.equal(images, before)
    if not isinstance(how, axes.Recorrupted):
        assert torch.equal(first.target, images)
    assert first.input.shape == images.shape
    assert first.input.dtype == torch.float32
    assert bool(first.input.isfinite().all())
    assert torch.equal(first.input, again.input)
    if not isinstance(how, axes.GaussianNoise | axes.PoissonNoise | axes.Recorrupted) or getattr(
        how, "clip", False
    ):
        assert 0 <= float(first.input.min()) <= float(first.input.max()) <= 1 + 1e-6
    assert isinstance(how, axes.Corruption)
    assert (first.condition is not None) == how.has_condition
    for extra in (first.weight, first.condition, first.visible):
        assert extra is None or extra.shape == (n, 1, height, width)
    assert torch.equal(first.target, again.target)
    if first.weight is not None and first.visible is not None:
        hides = (~first.visible).flatten(1).any(1)
        means = first.weight.flatten(1).mean(1)
        torch.testing.assert_close(means, hides.float(), atol=1e-4, rtol=1e-4)
        assert bool((first.weight[first.visible] == 0).all())
        assert bool((first.input[~first.visible.expand_as(images)] == 0).all())
        assert torch.equal(
            first.input[first.visible.expand_as(images)], images[first.visible.expand_as(images)]
        )


@pytest.mark.parametrize("how", [h for h in ALL if h.kind not in ("none", "blur")], ids=str)
def test_another_seed_gives_another_corruption(how: Settings) -> None:
    if isinstance(how, axes.Jpeg) and how.quality_high is None:
        pytest.skip("one quality leaves nothing to chance")
    images = pictures(8, (24, 24))
    assert not torch.equal(apply(images, how, 1).input, apply(images, how, 2).input)


@pytest.mark.parametrize("sigma", [5.0, 25.0, 75.0])
def test_gaussian_sigma_is_in_units_of_1_255(sigma: float) -> None:
    images = torch.full((4, 3, 100, 100), 0.5)
    noise = apply(images, axes.GaussianNoise(sigma=sigma)).input - images
    assert float(noise.std()) * 255 == pytest.approx(sigma, rel=0.01)
    assert float(noise.mean()) * 255 == pytest.approx(0, abs=sigma * 0.01)


def test_a_range_of_sigmas_is_uniform_one_per_image_and_told() -> None:
    how = axes.GaussianNoise(sigma=50, sigma_low=10, condition=True)
    corrupted = apply(torch.full((2000, 1, 20, 20), 0.5), how)
    assert corrupted.condition is not None
    condition = corrupted.condition[:, 0, 0, 0] * 255
    assert bool((corrupted.condition == corrupted.condition[:, :, :1, :1]).all())
    deviation = (corrupted.input - 0.5).flatten(1).std(1) * 255
    assert float(((deviation - condition).abs() / condition).mean()) < 0.05
    assert 10 <= float(condition.min()) < 11
    assert 49 < float(condition.max()) <= 50
    assert float(condition.mean()) == pytest.approx(30, abs=1)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.6, 1.0])
def test_salt_and_pepper_share_the_amount_and_take_whole_pixels(amount: float) -> None:
    images = torch.full((2, 3, 150, 150), 0.5)
    corrupted = apply(images, axes.SaltPepper(amount=amount)).input
    assert torch.equal(corrupted[:, 0], corrupted[:, 1])
    assert float((corrupted == 1).float().mean()) == pytest.approx(amount / 2, abs=0.01)
    assert float((corrupted == 0).float().mean()) == pytest.approx(amount / 2, abs=0.01)
    assert float((corrupted == 0.5).float().mean()) == pytest.approx(1 - amount, abs=0.01)


@pytest.mark.parametrize("peak", [4.0, 100.0])
def test_poisson_counts_have_the_mean_and_the_variance_of_the_light(peak: float) -> None:
    images = torch.full((1, 1, 300, 300), 0.3)
    counts = apply(images, axes.PoissonNoise(peak=peak)).input * peak
    assert float(counts.mean()) == pytest.approx(0.3 * peak, rel=0.02)
    assert float(counts.var()) == pytest.approx(0.3 * peak, rel=0.03)
    assert torch.allclose(counts, counts.round(), atol=1e-3)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.25, 0.5, 0.75, 0.99])
@pytest.mark.parametrize(
    ("shape", "size", "tolerance"), [("pixels", 4, 0.01), ("patches", 4, 0.01), ("blocks", 4, 0.05)]
)
def test_masks_hide_the_asked_share(shape: str, size: int, tolerance: float, amount: float) -> None:
    how = axes.Mask(shape=shape, size=size, amount=amount)  # type: ignore[arg-type]
    corrupted = apply(torch.ones(200, 1, 48, 40), how)
    assert corrupted.visible is not None
    assert 1 - float(corrupted.visible.float().mean()) == pytest.approx(amount, abs=tolerance)


@pytest.mark.parametrize("size", [6, 12, 28, 64])
def test_blocks_as_large_as_the_image_still_hide_about_the_asked_share(size: int) -> None:
    corrupted = apply(torch.ones(200, 1, 28, 28), axes.Mask(shape="blocks", size=size, amount=0.25))
    assert corrupted.visible is not None
    assert 0.15 < 1 - float(corrupted.visible.float().mean()) < 0.35


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8), st.floats(0, 0.99), st.integers(0, 99))
def test_patches_hide_the_same_number_in_every_image_and_never_all(
    height: int, width: int, size: int, amount: float, seed: int
) -> None:
    corrupted = apply(torch.ones(5, 1, height, width), axes.Mask(size=size, amount=amount), seed)
    assert corrupted.visible is not None
    corners = corrupted.visible[:, 0, ::size, ::size]
    counts = (~corners).flatten(1).sum(1)
    total = math.ceil(height / size) * math.ceil(width / size)
    assert counts.tolist() == [min(round(amount * total), total - 1)] * 5
    expected = corners.repeat_interleave(size, 1).repeat_interleave(size, 2)[:, :height, :width]
    assert torch.equal(expected, corrupted.visible[:, 0])


@pytest.mark.parametrize("sigma", [0.1, 1.5, 20.0])
def test_blur_keeps_constant_images_and_smooths_others(sigma: float) -> None:
    constant = torch.rand(3, 2, 1, 1, generator=generator()).expand(3, 2, 9, 13).contiguous()
    torch.testing.assert_close(apply(constant, axes.Blur(sigma=sigma)).input, constant)


def test_blur_is_a_gaussian_of_the_asked_width() -> None:
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    spread = apply(point, axes.Blur(sigma=2.0)).input[0, 0]
    offsets = torch.arange(-20.0, 21.0)
    assert float(spread.sum()) == pytest.approx(1, abs=1e-5)
    assert float((spread.sum(0) * offsets**2).sum()) == pytest.approx(4.0, rel=0.03)
    assert float((spread.sum(1) * offsets**2).sum()) == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_pillow_makes_of_the_image(channels: int) -> None:
    images = pictures(2, (17, 24), channels)
    corrupted = apply(images, axes.Jpeg(quality=30)).input
    for image, coded in zip(images, corrupted, strict=True):
        levels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        stream = io.BytesIO()
        Image.fromarray(levels[..., 0] if channels == 1 else levels).save(stream, "JPEG", quality=30)
        oracle = np.asarray(Image.open(stream)).reshape(17, 24, channels)
        assert np.array_equal((coded * 255).round().permute(1, 2, 0).numpy(), oracle)


def test_jpeg_quality_is_drawn_per_image_within_its_range() -> None:
    image = torch.rand(1, 1, 32, 32, generator=generator()).expand(60, -1, -1, -1)
    corrupted = apply(image, axes.Jpeg(quality=10, quality_high=12)).input
    assert len({coded.numpy().tobytes() for coded in corrupted}) == 3


def test_a_range_of_shares_is_uniform_one_per_image() -> None:
    corrupted = apply(torch.ones(500, 1, 30, 30), axes.Mask(shape="pixels", amount_low=0.2, amount=0.8))
    assert corrupted.visible is not None
    shares = 1 - corrupted.visible.float().flatten(1).mean(1)
    assert float(shares.min()) == pytest.approx(0.2, abs=0.06)
    assert float(shares.max()) == pytest.approx(0.8, abs=0.06)
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.04)


def test_strokes_are_lines_not_wider_than_asked() -> None:
    corrupted = apply(torch.ones(50, 1, 64, 64), axes.Mask(shape="strokes", size=3))
    assert corrupted.visible is not None
    hidden = (~corrupted.visible).float()
    assert 0.005 < float(hidden.mean()) < 0.5
    assert bool(hidden.flatten(1).any(1).all())
    # One stroke is at most three wide; several may cross, but a square of twelve is never all hidden.
    assert float(torch.nn.functional.avg_pool2d(hidden, 12, 1).max()) < 1


def test_a_mixture_hides_single_pixels_blocks_and_strokes() -> None:
    how = axes.Mask(shape="mixed", amount=0.9, amount_low=0.1, size=16)
    corrupted = apply(torch.ones(300, 1, 64, 64), how)
    assert corrupted.visible is not None
    hidden = (~corrupted.visible).float()
    edges = (hidden.diff(dim=2).abs().mean((1, 2, 3)) + hidden.diff(dim=3).abs().mean((1, 2, 3))) / 2
    share = hidden.mean((1, 2, 3))
    # Independent pixels of share p have 2p(1 − p) edges, coherent shapes far fewer.
    scattered = edges > 1.5 * share * (1 - share)
    assert 0.4 < float(scattered.float().mean()) < 0.6
    assert float(share[scattered].max()) > 0.8
    assert float(share[~scattered].max()) < 0.6


def test_recorrupted_images_have_the_noise_they_are_told_and_targets_of_independent_noise() -> None:
    clean = torch.full((60, 1, 100, 100), 0.5)
    noisy = clean + 20 / 255 * torch.randn(clean.shape, generator=generator(5))
    corrupted = apply(noisy, axes.Recorrupted(sigma=20))
    assert corrupted.condition is not None
    assert corrupted.weight is not None
    first, second = (corrupted.input - clean).flatten(1), (corrupted.target - clean).flatten(1)
    torch.testing.assert_close(first.std(1), corrupted.condition[:, 0, 0, 0], rtol=0.05, atol=0)
    assert (
        20 <= float(corrupted.condition.min()) * 255 < float(corrupted.condition.max()) * 255 <= 20 * 2**0.5
    )
    correlation = (first * second).mean(1) / (first.std(1) * second.std(1))
    assert float(correlation.abs().max()) < 0.05
    # Targets are weighted by their precision, in all as much as without weights.
    precision = 1 / second.var(1)
    torch.testing.assert_close(
        corrupted.weight[:, 0, 0, 0] / corrupted.weight.mean(),
        precision / precision.mean(),
        rtol=0.1,
        atol=0.01,
    )
    assert float(corrupted.weight.mean()) == pytest.approx(1, abs=0.15)


def test_noise_that_was_cut_off_at_black_is_recorrupted_without_correlation() -> None:
    clean = torch.full((40, 1, 100, 100), 4 / 255)
    noisy = (clean + 20 / 255 * torch.randn(clean.shape, generator=generator(5))).clamp(0, 1)
    errors = {}
    for clipped in (True, False):
        corrupted = apply(noisy, axes.Recorrupted(sigma=20, clipped=clipped))
        first, second = (
            (corrupted.input - noisy.mean()).flatten(1),
            (corrupted.target - noisy.mean()).flatten(1),
        )
        errors[clipped] = float(((first * second).mean(1) / (first.std(1) * second.std(1))).abs().mean())
    assert errors[True] < 0.03
    assert errors[False] > 0.15


def test_the_mean_of_cut_noise_is_that_of_many_draws() -> None:
    clean = torch.tensor([0.0, 0.02, 0.1, 0.5, 0.97, 1.0])
    draws = clean[:, None] + 0.1 * torch.randn((6, 200_000), generator=generator(0))
    torch.testing.assert_close(ClippedNoise(0.1).mean(clean), draws.clamp(0, 1).mean(1), rtol=0, atol=1e-3)


def test_a_blind_spot_is_guessed_without_itself() -> None:
    images = pictures(3, (40, 40), 2)
    corrupted = apply(images, axes.BlindSpot(amount=0.05))
    assert corrupted.weight is not None
    guessed = (corrupted.weight > 0).expand_as(images)
    assert 0.02 < float(guessed.float().mean()) < 0.1
    assert torch.equal(corrupted.input[~guessed], images[~guessed])
    changed = images.clone()
    changed[guessed] = 9.0
    alone = guessed & (F.avg_pool2d(guessed.float(), 3, 1, 1) * 9 < 1.5)
    again = apply(changed, axes.BlindSpot(amount=0.05)).input
    torch.testing.assert_close(again[alone], corrupted.input[alone])
    assert torch.equal(corrupted.target, images)
