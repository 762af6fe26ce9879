"""The corruption `real-noise`: each of its kinds does what it is named after."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from isthmus.model import axes
from isthmus.model.corruptions import corrupt
from isthmus.model.real_noise import (
    Draws,
    colour_mixture,
    compress_jpeg,
    noise_field,
    resize,
    signal_dependence,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(count: int, channels: int = 3, side: int = 32) -> Tensor:
    """Images without fine detail, in [.2, .8]."""
    coarse = torch.rand(count, channels, 4, 4, generator=generator(1))
    return 0.2 + 0.6 * torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (24, 17)])
def test_any_shape_and_the_generator_alone_decides(channels: int, size: tuple[int, int]) -> None:
    images = torch.rand(6, channels, *size, generator=generator(2))
    before = images.clone()
    first, again = (corrupt(images, axes.RealNoise(), generator(3)) for _ in range(2))
    other = corrupt(images, axes.RealNoise(), generator(4))
    assert first.input.shape == first.target.shape == images.shape
    assert first.input.dtype == torch.float32 and bool(first.input.isfinite().all())
    assert torch.equal(first.input, again.input) and torch.equal(first.target, again.target)
    assert not torch.equal(first.input, other.input)
    assert torch.equal(images, before)


def test_the_network_is_not_given_the_level() -> None:
    assert not axes.RealNoise().has_condition
    assert corrupt(smooth(2), axes.RealNoise(), generator()).condition is None


def test_levels_reach_from_little_to_sigma() -> None:
    images = smooth(300)
    corrupted = corrupt(images, axes.RealNoise(clean=0, jpeg=0, jpeg_before=0), generator())
    levels = 255 * (corrupted.input - corrupted.target).flatten(1).std(1)
    assert levels.max() < 2 * axes.RealNoise().sigma
    assert (levels < 3).float().mean() > 0.1
    assert (levels > 20).float().mean() > 0.2


def test_images_without_noise_are_only_rounded() -> None:
    images = smooth(20)
    how = axes.RealNoise(clean=1, gray=0, correlated=0, partial=0, rescaled=0, jpeg=0, jpeg_before=0)
    corrupted = corrupt(images, how, generator())
    assert torch.equal(corrupted.target, images)
    assert (corrupted.input - images).abs().max() <= 0.5 / 255 + 1e-6


def test_gray_images_stay_gray() -> None:
    how = axes.RealNoise(gray=1, jpeg=0, jpeg_before=0)
    corrupted = corrupt(torch.rand(20, 3, 24, 24, generator=generator()), how, generator())
    for part in (corrupted.input, corrupted.target):
        assert torch.equal(part, part[:, :1].expand_as(part))


def test_noise_in_one_part_leaves_the_rest() -> None:
    images = smooth(40)
    how = axes.RealNoise(clean=0, gray=0, correlated=0, partial=1, rescaled=0, jpeg=0, jpeg_before=0)
    change = (corrupt(images, how, generator()).input - images).abs().amax(1)
    untouched = (change <= 0.5 / 255 + 1e-6).flatten(1).float().mean(1)
    assert ((untouched > 0.15) & (untouched < 0.85)).float().mean() > 0.4


def test_enlarged_images_are_compared_with_enlarged_ones() -> None:
    images = torch.rand(8, 3, 32, 32, generator=generator())
    how = axes.RealNoise(rescaled=1, clean=1, gray=0, partial=0, jpeg=0, jpeg_before=0)
    corrupted = corrupt(images, how, generator())
    assert (corrupted.input - corrupted.target).abs().max() <= 0.5 / 255 + 1e-6
    assert corrupted.target.diff(dim=-1).abs().mean() < 0.8 * images.diff(dim=-1).abs().mean()


def test_a_colour_mixture_keeps_the_mean_variance() -> None:
    draws = Draws(generator())
    for _ in range(50):
        matrix = colour_mixture(draws)
        assert float((matrix @ matrix.t()).diagonal().mean()) == pytest.approx(1, abs=1e-5)


def test_correlations_of_all_strengths_are_drawn() -> None:
    draws = Draws(generator())
    covariances = []
    for _ in range(300):
        covariance = (m := colour_mixture(draws)) @ m.t()
        covariances.append(float(covariance[0, 1] / (covariance[0, 0] * covariance[1, 1]).sqrt()))
    assert min(covariances) < -0.2 and max(covariances) > 0.99
    assert sum(abs(value) < 1e-6 for value in covariances) > 60


@pytest.mark.parametrize("correlated", [0.0, 1.0])
def test_a_field_has_deviation_one(correlated: float) -> None:
    draws = Draws(generator())
    deviations = [float(noise_field((3, 64, 64), draws, correlated=correlated).std()) for _ in range(40)]
    assert sum(deviations) / len(deviations) == pytest.approx(1, abs=0.05)
    assert max(deviations) < 1.8


def test_fields_are_white_or_correlated_between_neighbours() -> None:
    def neighbours(correlated: float) -> float:
        draws = Draws(generator())
        fields = []
        for _ in range(40):
            field = noise_field((3, 64, 64), draws, correlated=correlated)
            along = (field[..., 1:] * field[..., :-1]).mean() / field.square().mean()
            down = (field[:, 1:] * field[:, :-1]).mean() / field.square().mean()
            fields.append(max(float(along), float(down)))
        return sum(fields) / len(fields)

    assert abs(neighbours(0.0)) < 0.05
    assert neighbours(1.0) > 0.3


def test_the_noise_of_middle_gray_has_deviation_one() -> None:
    draws, gray = Draws(generator()), torch.full((3, 4, 4), 0.5)
    for _ in range(30):
        assert float(signal_dependence(gray, draws).mean()) == pytest.approx(1, abs=1e-5)


def test_some_noise_grows_with_the_signal_and_some_falls() -> None:
    draws = Draws(generator())
    tones = torch.tensor([0.1, 0.9]).view(1, 1, 2)
    deviations = [signal_dependence(tones, draws).flatten().tolist() for _ in range(60)]
    assert any(dark < 0.5 * bright for dark, bright in deviations)
    assert any(dark > 1.5 * bright for dark, bright in deviations)
    assert any(dark == bright for dark, bright in deviations)


@pytest.mark.parametrize("subsample", [False, True])
def test_jpeg_is_that_of_pillow(subsample: bool) -> None:
    image = smooth(1)[0]
    stream = io.BytesIO()
    array = (image * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(stream, "JPEG", quality=50, subsampling=2 if subsample else 0)
    expected = np.asarray(Image.open(stream), dtype=np.float32) / 255
    compressed = compress_jpeg(image, 50, subsample=subsample)
    assert torch.equal(compressed.permute(1, 2, 0), torch.from_numpy(expected))


def test_resizing_keeps_the_mean() -> None:
    image = smooth(1)[0]
    for size in ((16, 16), (50, 41)):
        assert resize(image, size).shape == (3, *size)
        assert float(resize(image, size).mean()) == pytest.approx(float(image.mean()), abs=0.01)
