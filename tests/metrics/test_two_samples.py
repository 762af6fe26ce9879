from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel

from isthmus.errors import DataError
from isthmus.metrics.set_distances import SCALES, nearest_neighbour_accuracy, squared_mmd


def normal(n: int, d: int, seed: int, *, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + mean


@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 4), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_squared_mmd_is_the_sum_over_pairs_of_scikit_learns_kernel(n: int, m: int, d: int, seed: int) -> None:
    a, b = normal(n, d, seed).double().numpy(), normal(m, d, seed + 1, mean=0.5).double().numpy()
    squared = ((b[:, None] - b[None]) ** 2).sum(-1)[~np.eye(m, dtype=bool)]
    median = torch.from_numpy(squared).median().item()

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        parts = [rbf_kernel(x, y, gamma=1 / (2 * scale * median)) for scale in SCALES]
        mean: np.ndarray = np.mean(parts, axis=0)
        return mean

    within_a = (kernel(a, a).sum() - n) / (n * (n - 1))
    within_b = (kernel(b, b).sum() - m) / (m * (m - 1))
    expected = within_a + within_b - 2 * kernel(a, b).mean()
    assert squared_mmd(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, abs=1e-9)


def test_both_tell_another_distribution_and_not_the_same_one() -> None:
    first, second = normal(800, 8, 0), normal(800, 8, 1)
    wider, moved = normal(800, 8, 2, scale=1.5), normal(800, 8, 3, mean=1.0)
    assert abs(squared_mmd(first, second)) < 0.002
    assert nearest_neighbour_accuracy(first, second) == pytest.approx(0.5, abs=0.04)
    for other in (wider, moved):
        assert squared_mmd(other, second) > 0.01
        assert nearest_neighbour_accuracy(other, second) > 0.6


def test_the_unit_of_the_vectors_does_not_matter() -> None:
    a, b = normal(100, 3, 0, mean=0.3), normal(100, 3, 1)
    assert squared_mmd(a * 255, b * 255) == pytest.approx(squared_mmd(a, b), rel=1e-6)


def test_copies_are_noticed() -> None:
    """A set that repeats the other's rows has every nearest neighbour on the other side."""
    rows = normal(50, 4, 0)
    assert nearest_neighbour_accuracy(rows, rows.clone()) == 0.0


@pytest.mark.parametrize("measure", [squared_mmd, nearest_neighbour_accuracy])
def test_sets_that_cannot_be_compared_are_refused(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(DataError, match="width"):
        measure(normal(5, 2, 0), normal(5, 3, 0))
    with pytest.raises(DataError, match="at least two"):
        measure(normal(1, 2, 0), normal(5, 2, 0))
    with pytest.raises(DataError, match="infinite"):
        measure(torch.full((5, 2), float("nan")), normal(5, 2, 0))
