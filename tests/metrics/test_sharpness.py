from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.metrics.structure import high_frequency_energy


def waves(side: int, cycles_per_pixel: float) -> torch.Tensor:
    """Whole half-periods, so that mirroring continues the wave."""
    x = (torch.arange(side) + 0.5) * 2 * math.pi * cycles_per_pixel
    return x.cos().expand(1, 1, side, side)


def test_a_wave_is_fine_from_a_quarter_cycle_per_pixel_on() -> None:
    coarse, fine = waves(32, 7 / 32), waves(32, 12 / 32)
    assert float(high_frequency_energy(coarse)) < 1e-9
    assert abs(float(high_frequency_energy(fine)) - float(fine.square().mean())) < 1e-6


@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 3), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_energy_is_quadratic_and_never_more_than_the_whole(h: int, w: int, c: int, seed: int) -> None:
    images = torch.rand(3, c, h, w, generator=torch.Generator().manual_seed(seed))
    energy = high_frequency_energy(images)
    assert energy.shape == (3,)
    assert torch.all(energy <= images.square().mean((1, 2, 3)) + 1e-6)
    assert torch.allclose(high_frequency_energy(2 * images), 4 * energy, rtol=1e-5, atol=1e-9)


def test_blur_takes_it_away_and_a_constant_has_none() -> None:
    images = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.all(
        high_frequency_energy(F.avg_pool2d(images, 3, 1, 1)) < 0.3 * high_frequency_energy(images)
    )
    assert torch.all(high_frequency_energy(torch.full((2, 3, 9, 9), 0.7)) < 1e-9)
