from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, Normal, kl_divergence

from isthmus.metrics.pixel_metrics import bernoulli_nll, gaussian_nll, kl_to_standard_normal

seeds = st.integers(0, 2**31)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_densities_agree_with_torch_distributions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance, x = (torch.randn(3, 2, 4, 4, generator=generator) for _ in range(3))
    normal = Normal(mean, (0.5 * log_variance).exp())
    expected = -normal.log_prob(x).flatten(1).sum(1)
    assert torch.allclose(gaussian_nll(mean, log_variance, x), expected, rtol=1e-4, atol=1e-4)
    bits = (x > 0).float()
    expected = -Bernoulli(logits=mean).log_prob(bits).flatten(1).sum(1)
    assert torch.allclose(bernoulli_nll(mean, bits), expected, rtol=1e-4, atol=1e-4)
    kl = kl_divergence(normal, Normal(torch.zeros(()), torch.ones(()))).flatten(1)
    ours = kl_to_standard_normal(mean.flatten(1), log_variance.flatten(1))
    assert ours.shape == (3, 32)
    assert torch.allclose(ours, kl, rtol=1e-4, atol=1e-5)


def test_one_variance_for_all_pixels_will_do() -> None:
    mean, x = torch.rand(2, 1, 3, 3), torch.rand(2, 1, 3, 3)
    shared = torch.tensor(-1.3)
    assert torch.allclose(gaussian_nll(mean, shared, x), gaussian_nll(mean, shared.expand(2, 1, 3, 3), x))


def test_kl_is_the_mean_log_ratio_over_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.tensor([[0.7, -1.2, 0.0]]), torch.tensor([[-1.0, 0.6, 0.0]])
    z = mean + (0.5 * log_variance).exp() * torch.randn(200_000, 3, generator=generator)
    posterior, prior = Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)
    sampled = (posterior.log_prob(z) - prior.log_prob(z)).mean(0)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance)[0], sampled, atol=0.02)


def test_density_integrates_to_one() -> None:
    x = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    density = (-gaussian_nll(torch.full((4001, 1), 0.4).double(), torch.tensor(0.8), x[:, None])).exp()
    assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=1e-6)


@given(st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3))
@settings(max_examples=50, deadline=None)
def test_kl_near_the_prior_is_never_negative(mean: float, log_variance: float) -> None:
    assert float(kl_to_standard_normal(torch.tensor([[mean]]), torch.tensor([[log_variance]]))) >= 0
