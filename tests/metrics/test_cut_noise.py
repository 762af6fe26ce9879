"""Noise that was cut off at black and white: its mean, its deviation and the way back, against many draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from isthmus.metrics.clipped_noise import ClippedNoise

CLEAN = torch.tensor([0.0, 0.02, 0.1, 0.5, 0.93, 1.0])
SIGMA = 0.1


def drawn(black: bool, white: bool) -> Tensor:
    """(6, draws)."""
    noise = torch.randn((6, 200_000), generator=torch.Generator().manual_seed(0))
    return (CLEAN[:, None] + SIGMA * noise).clamp(0 if black else -9, 1 if white else 9)


@pytest.mark.parametrize(("black", "white"), [(True, True), (True, False), (False, True), (False, False)])
def test_mean_deviation_and_clean_value_are_those_of_many_draws(black: bool, white: bool) -> None:
    cut, draws = ClippedNoise(SIGMA, black, white), drawn(black, white)
    means = draws.mean(1)
    torch.testing.assert_close(cut.mean(CLEAN), means, rtol=0, atol=1e-3)
    torch.testing.assert_close(cut.share(means), draws.std(1) / SIGMA, rtol=0.01, atol=0)
    torch.testing.assert_close(cut.remove_bias(means), CLEAN, rtol=0, atol=3e-3)


def test_means_that_cut_noise_never_shows_are_black_or_white() -> None:
    result = ClippedNoise(SIGMA).remove_bias(torch.tensor([0.0, 0.01, 0.99, 1.0]))
    torch.testing.assert_close(result, torch.tensor([0.0, 0.0, 1.0, 1.0]), rtol=0, atol=1e-3)


def test_the_whole_deviation_is_found_from_what_is_left() -> None:
    cut, draws = ClippedNoise(SIGMA), drawn(True, True)
    left = float(draws.var(1).mean().sqrt())
    assert left < 0.85 * SIGMA
    assert cut.sigma_before_clipping(left, draws.mean(1)) == pytest.approx(SIGMA, rel=0.01)


def test_far_from_black_and_white_nothing_changes() -> None:
    middle = torch.from_numpy(np.linspace(0.5, 0.6, 50, dtype=np.float32))
    cut = ClippedNoise(0.05)
    torch.testing.assert_close(cut.remove_bias(middle), middle, rtol=0, atol=1e-6)
    torch.testing.assert_close(cut.share(middle), torch.ones(50), rtol=0, atol=1e-5)
