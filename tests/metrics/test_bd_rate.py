"""The Bjøntegaard delta rate against curves whose difference is known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripts import load_script

bd_rate = load_script("benchmarks/bd_rate.py").bd_rate


# Mean curves over Kodak as published with CompressAI (bits per pixel, PSNR-RGB in dB).
JPEG = [(0.327, 26.58), (0.508, 29.04), (0.729, 30.90), (1.037, 32.79)]
HYPERPRIOR = [(0.131, 27.58), (0.320, 30.97), (0.478, 32.84), (0.669, 34.53), (0.939, 36.74)]


def line(factor: float, first: float, last: float, points: int = 6) -> list[tuple[float, float]]:
    """A coder whose rate doubles every 4 dB."""
    qualities = [first + (last - first) * i / (points - 1) for i in range(points)]
    return [(factor * 2 ** ((q - 30) / 4), q) for q in qualities]


@given(st.floats(0.2, 3.0))
def test_a_rate_scaled_by_a_factor_differs_by_that_factor(factor: float) -> None:
    result = bd_rate(line(factor, 25, 38, 5), line(1.0, 27, 41, 9))
    assert result == pytest.approx(100 * (factor - 1), abs=1e-6)


def test_exchanging_the_coders_inverts_the_ratio_and_the_order_of_points_does_not_matter() -> None:
    forth, back = bd_rate(HYPERPRIOR, JPEG), bd_rate(JPEG, HYPERPRIOR[::-1])
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)
    assert bd_rate(JPEG, JPEG) == pytest.approx(0, abs=1e-12)


def test_published_curves_give_the_published_difference() -> None:
    # Ballé et al. 2018 against JPEG on these four points of it, by the trapezoidal rule on a fine grid of the
    # straight-line interpolation: another way to the same number, up to the interpolation.
    def log_rate(curve: list[tuple[float, float]], quality: float) -> float:
        for (r0, q0), (r1, q1) in pairwise(curve):
            if q0 <= quality <= q1:
                share = (quality - q0) / (q1 - q0)
                return math.log(r0) * (1 - share) + math.log(r1) * share
        raise AssertionError(quality)

    grid = [27.58 + (32.79 - 27.58) * (i + 0.5) / 2000 for i in range(2000)]
    mean = sum(log_rate(HYPERPRIOR, q) - log_rate(JPEG, q) for q in grid) / len(grid)
    assert bd_rate(HYPERPRIOR, JPEG) == pytest.approx(100 * math.expm1(mean), abs=1.5)


def test_only_the_rates_asked_for_count() -> None:
    # Half the rate up to 34 dB, a quarter more than the reference's from 36 dB on.
    usual = line(1.0, 22, 46, 25)
    other = [(rate * (0.5 if quality <= 34 else 1.25), quality) for rate, quality in usual if quality != 35]
    assert bd_rate(other, usual, between=(0.25, 1.5)) == pytest.approx(-50)
    assert bd_rate(other, usual, between=(4.0, 9.0)) == pytest.approx(25)
    assert -50 < bd_rate(other, usual) < 25


@pytest.mark.parametrize(
    ("curve", "reason"),
    [
        ([], "two points"),
        ([(1.0, 30.0)], "two points"),
        ([(0.0, 30.0), (1.0, 31.0)], "positive"),
        ([(0.5, 30.0), (float("inf"), 31.0)], "finite"),
        ([(0.5, 31.0), (1.0, 30.0)], "rise"),
        ([(0.5, 31.0), (0.5, 32.0)], "rise"),
        (line(1.0, 50, 60), "common quality"),
    ],
)
def test_what_is_no_curve_is_refused(curve: list[tuple[float, float]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        bd_rate(curve, line(1.0, 27, 40))
