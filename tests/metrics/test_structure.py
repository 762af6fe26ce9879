from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from isthmus.errors import DataError
from isthmus.metrics.structure import ms_ssim, ms_ssim_possible, ssim


def smooth_pair(shape: tuple[int, ...], seed: int = 0, noise: float = 0.1) -> tuple[Tensor, Tensor]:
    """Images with structure, and noisy copies of them."""
    generator = torch.Generator().manual_seed(seed)
    n, c, h, w = shape
    coarse = torch.rand(n, c, max(h // 6, 2), max(w // 6, 2), generator=generator)
    x = F.interpolate(coarse, size=(h, w), mode="bilinear")
    return x, (x + noise * torch.randn(shape, generator=generator)).clamp(0, 1)


def inner_ssim(x: Tensor, y: Tensor) -> Tensor:
    """What torchmetrics finds where no window meets its padding."""
    _, full_map = structural_similarity_index_measure(
        x, y, data_range=1.0, reduction="none", return_full_image=True
    )
    return full_map[..., 5:-5, 5:-5].mean((1, 2, 3))


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 33, 47), (1, 1, 11, 11), (1, 3, 300, 19)])
def test_ssim_agrees_with_two_other_implementations(shape: tuple[int, ...]) -> None:
    x, y = smooth_pair(shape)
    ours = ssim(x, y)
    skimage = [
        structural_similarity(
            a.double().numpy(),
            b.double().numpy(),
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
        )
        for a, b in zip(x, y, strict=True)
    ]
    assert np.allclose(ours, skimage, atol=1e-4)
    assert torch.allclose(ours, inner_ssim(x, y), atol=1e-4)


def test_mixed_precision_does_not_reach_the_measure() -> None:
    x, y = smooth_pair((2, 1, 28, 28))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ssim(x, y)
    assert torch.equal(inside, ssim(x, y))


def test_flat_bright_images_do_not_lose_their_digits() -> None:
    x = torch.full((1, 1, 64, 64), 0.97)
    y = x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ssim(x, y).double(), ssim(x.double(), y.double()), atol=1e-5)


def test_ms_ssim_agrees_with_torchmetrics_channel_by_channel() -> None:
    pair = smooth_pair((2, 3, 192, 176), noise=0.2)
    channels = []
    for c in range(3):
        x, y = (images[:, c : c + 1] for images in pair)
        product = torch.ones(2)
        for weight in (0.0448, 0.2856, 0.3001, 0.2363):
            _, contrast = structural_similarity_index_measure(
                x, y, data_range=1.0, reduction="none", return_contrast_sensitivity=True
            )
            product *= contrast**weight
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        channels.append(product * inner_ssim(x, y) ** 0.1333)
    assert torch.allclose(ms_ssim(*pair), torch.stack(channels).mean(0), atol=1e-4)


def test_ms_ssim_differs_from_torchmetrics_by_its_padded_border_only() -> None:
    # At the coarsest scale torchmetrics counts windows over reflected pixels too: no equality to be had.
    x, y = smooth_pair((2, 1, 256, 208), noise=0.2)
    theirs = multiscale_structural_similarity_index_measure(x, y, data_range=1.0, reduction="none")
    assert torch.allclose(ms_ssim(x, y), theirs, atol=2e-3)


def test_ms_ssim_needs_more_than_160_pixels_and_takes_161() -> None:
    x, y = smooth_pair((1, 1, 161, 163))
    assert ms_ssim_possible(161, 163) and 0 < float(ms_ssim(x, y)) < 1
    assert not ms_ssim_possible(160, 400)
    with pytest.raises(DataError, match="160"):
        ms_ssim(x[..., :160, :], y[..., :160, :])


@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_bounded_symmetric_and_one_for_equal_images_of_any_size(h: int, w: int, c: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = (torch.rand(2, c, h, w, generator=generator) for _ in range(2))
    value = ssim(x, y)
    assert value.shape == (2,) and (value.abs() <= 1 + 1e-5).all()
    assert torch.allclose(value, ssim(y, x), atol=1e-5)
    assert torch.allclose(ssim(x, x), torch.ones(2), atol=1e-5)


def test_more_noise_is_less_alike() -> None:
    clean = smooth_pair((4, 1, 32, 32))[0]
    values = [ssim(*smooth_pair((4, 1, 32, 32), noise=noise)) for noise in (0.0, 0.05, 0.2)]
    assert (values[0] > values[1]).all() and (values[1] > values[2]).all()
    assert torch.allclose(values[0], ssim(clean, clean))


def test_gradient_is_the_derivative() -> None:
    x, y = (z.double().requires_grad_() for z in smooth_pair((1, 2, 12, 13)))
    assert torch.autograd.gradcheck(ssim, (x, y))


@pytest.mark.parametrize("opposite", [False, True])
def test_ms_ssim_trains_without_nan_even_on_equal_or_opposite_images(opposite: bool) -> None:
    x, _ = smooth_pair((1, 1, 176, 176))
    y = (1 - x if opposite else x.clone()).requires_grad_()
    value = ms_ssim(x, y)
    value.sum().backward()
    assert y.grad is not None and y.grad.isfinite().all()
    assert value.item() == pytest.approx(0.0 if opposite else 1.0, abs=1e-5)


def test_climbing_the_gradient_makes_images_more_alike() -> None:
    x, y = smooth_pair((1, 1, 24, 24), noise=0.3)
    guess = y.clone().requires_grad_()
    before = ssim(guess, x)
    before.sum().backward()
    assert guess.grad is not None
    assert float(ssim(guess.detach() + guess.grad, x)) > before.item()
