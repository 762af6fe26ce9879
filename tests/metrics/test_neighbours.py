from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from isthmus.errors import DataError
from isthmus.metrics.neighbours import find_neighbours


@given(st.integers(0, 30), st.integers(5, 40), st.integers(1, 5), st.integers(1, 50), st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_any_chunk_finds_what_scikit_learn_finds(n: int, m: int, k: int, chunk: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(n, 3, generator=generator), torch.randn(m, 3, generator=generator)
    distances, rows = find_neighbours(a, b, count=k, chunk=chunk)
    assert distances.shape == rows.shape == (n, k)
    if n:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(b.double().numpy())
        expected = search.kneighbors(a.double().numpy())
        assert np.allclose(distances, expected[0]) and np.array_equal(rows, expected[1])


@given(st.integers(2, 30), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_a_row_is_not_its_own_neighbour_when_asked(m: int, chunk: int) -> None:
    x = torch.randn(m, 4, generator=torch.Generator().manual_seed(m))
    distances, rows = find_neighbours(x, x, count=m - 1, skip_same_row=True, chunk=chunk)
    others = [sorted(set(range(m)) - {i}) for i in range(m)]
    assert rows.sort(1).values.tolist() == others and distances.isfinite().all()
    assert (find_neighbours(x, x, chunk=chunk)[1][:, 0] == torch.arange(m)).all()


def test_a_copy_is_at_distance_zero_however_far_from_the_origin() -> None:
    x = 1e4 + torch.rand(50, 8, generator=torch.Generator().manual_seed(0))
    distances, rows = find_neighbours(x[20:30], x)
    assert (distances == 0).all() and rows[:, 0].tolist() == list(range(20, 30))


def test_impossible_requests_are_refused() -> None:
    x = torch.zeros(3, 2)
    with pytest.raises(DataError):
        find_neighbours(x, x, count=4)
    with pytest.raises(DataError):
        find_neighbours(x, x, count=3, skip_same_row=True)
    with pytest.raises(DataError):
        find_neighbours(x, torch.zeros(3, 5))
    with pytest.raises(DataError):
        find_neighbours(x, torch.full((3, 2), math.nan))
