from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from isthmus.errors import DataError
from isthmus.metrics.pixel_metrics import mae, mse, psnr, round_to_levels

seeds = st.integers(0, 2**31)


def pair(seed: int, shape: tuple[int, ...] = (3, 2, 7, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_errors_of_each_image_are_its_own_and_ordered_as_means_must_be(seed: int) -> None:
    x, y = pair(seed)
    assert torch.allclose(mse(x, y), torch.stack([((a - b) ** 2).mean() for a, b in zip(x, y, strict=True)]))
    assert torch.equal(mse(x, y), mse(y, x))
    assert (mse(x, y) <= mae(x, y)).all() and (mae(x, y) ** 2 <= mse(x, y) + 1e-7).all()


def test_psnr_agrees_with_scikit_image() -> None:
    x, y = pair(1)
    theirs = [peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=1) for a, b in zip(x, y, strict=True)]
    assert np.allclose(psnr(x, y), theirs, atol=1e-4)


def test_equal_images_are_infinitely_good_unless_a_ceiling_is_asked_for() -> None:
    x, _ = pair(2)
    assert (psnr(x, x) == math.inf).all()
    y = x.clone().requires_grad_()
    capped = psnr(y, x, at_most=100)
    capped.sum().backward()
    assert torch.allclose(capped, torch.full((3,), 100.0)) and y.grad is not None and y.grad.isfinite().all()


@given(seeds, st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_levels_are_the_nearest_and_stay_what_they_are(seed: int, bits: int) -> None:
    x = pair(seed)[0] * 1.4 - 0.2
    level = round_to_levels(x, bits=bits)
    assert torch.equal(round_to_levels(level, bits=bits), level)
    assert ((level - x.clamp(0, 1)).abs() <= 0.5 / (2**bits - 1) + 1e-6).all()


def test_eight_bit_psnr_is_that_of_the_saved_files() -> None:
    x, y = pair(3)
    saved = [(z * 255).round().to(torch.uint8).double() / 255 for z in (x, y)]
    assert torch.allclose(psnr(x, y, eight_bit=True).double(), psnr(saved[0], saved[1]), atol=1e-4)


def test_half_precision_images_are_measured_in_single() -> None:
    x, y = (z.bfloat16() for z in pair(4))
    assert torch.equal(mse(x, y), mse(x.float(), y.float()))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 5)),
        (torch.zeros(4, 4), torch.zeros(4, 4)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2, 1, 4, 4, dtype=torch.uint8)),
        (torch.zeros(2, 1, 0, 4), torch.zeros(2, 1, 0, 4)),
    ],
)
def test_what_cannot_be_compared_is_refused(x: torch.Tensor, y: torch.Tensor) -> None:
    with pytest.raises(DataError):
        mse(x, y)
