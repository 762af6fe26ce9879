from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.errors import DataError
from isthmus.metrics.pixel_metrics import (
    bce,
    bce_from_logits,
    bernoulli_nll,
    binary_entropy,
    bits_per_dim,
    log_mean_exp,
)

seeds = st.integers(0, 2**31)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_cross_entropy_is_never_below_the_datas_own_entropy(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p, t = (torch.rand(3, 1, 5, 4, generator=generator) for _ in range(2))
    assert (bce(p, t) >= binary_entropy(t) - 1e-6).all()
    assert torch.allclose(bce(t, t), binary_entropy(t), atol=1e-5)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_logits_and_probabilities_agree(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 2, 4, 4, generator=generator).double()  # 1 − σ(6) has few digits in float32
    t = torch.rand(2, 2, 4, 4, generator=generator).double()
    assert torch.allclose(bce_from_logits(logits, t), bce(logits.sigmoid(), t), rtol=1e-4)
    assert torch.allclose(bce_from_logits(logits, t) * 32, bernoulli_nll(logits, t), rtol=1e-5)


def test_black_and_white_costs_nothing_and_grey_costs_ln_2() -> None:
    t = torch.stack((torch.ones(1, 4, 4), torch.zeros(1, 4, 4), torch.full((1, 4, 4), 0.5)))
    assert torch.allclose(binary_entropy(t), torch.tensor([0.0, 0.0, math.log(2)]))


def test_certain_and_wrong_is_dear_but_finite() -> None:
    p, t = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert float(bce(p, t)) == pytest.approx(100)
    assert float(bce_from_logits(torch.full_like(p, -1e4), t)) == pytest.approx(1e4)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_values_that_are_no_probabilities_are_refused(value: float) -> None:
    bad, good = torch.full((1, 1, 2, 2), value), torch.full((1, 1, 2, 2), 0.5)
    for first, second in ((bad, good), (good, bad)):
        with pytest.raises(DataError, match=r"\[0, 1\]"):
            bce(first, second)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        binary_entropy(bad)


def test_uniform_eight_bit_pixels_have_eight_bits_per_dim() -> None:
    nats = torch.tensor([784 * math.log(256.0)])
    assert float(bits_per_dim(nats, 784)) == pytest.approx(8)


@given(seeds, st.floats(-1e4, 1e4))
@settings(max_examples=25, deadline=None)
def test_log_mean_exp_shifts_with_its_argument_and_has_bounds(seed: int, by: float) -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    value = log_mean_exp(x, 0)
    assert torch.allclose(value, x.exp().mean(0).log())
    assert torch.allclose(log_mean_exp(x + by, 0), value + by)
    assert (value >= x.mean(0) - 1e-9).all() and (value <= x.amax(0) + 1e-9).all()
