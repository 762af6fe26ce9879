"""Measures of made images, against closed forms and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from isthmus.errors import DataError
from isthmus.metrics.set_distances import energy_distance, frechet_distance, precision_and_recall


def rows(count: int, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def test_frechet_agrees_with_the_square_root_of_a_matrix() -> None:
    a, b = rows(200), rows(300, seed=1) @ torch.diag(torch.tensor([1.0, 2, 3, 0.5, 1])) + 0.3
    x, y = a.double().numpy(), b.double().numpy()
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    means = np.square(x.mean(0) - y.mean(0)).sum()
    expected = means + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_of_a_shift_is_its_square_also_where_a_feature_never_changes() -> None:
    a = rows(100)
    a[:, 2] = 0
    assert frechet_distance(a, a + torch.tensor([0.0, 0, 3, 0, 0])) == pytest.approx(9, rel=1e-6)


def test_energy_distance_of_two_points_and_of_equal_laws() -> None:
    a, b = torch.tensor([[0.0], [0.0]]), torch.tensor([[3.0], [3.0]])
    assert energy_distance(a, b) == pytest.approx(6)
    assert abs(energy_distance(rows(1500), rows(1500, seed=1), chunk=400)) < 0.02
    assert energy_distance(rows(1500), rows(1500, seed=1) + 1) > 0.5


def test_precision_and_recall_tell_too_few_kinds_from_too_many() -> None:
    both = torch.cat([rows(300) - 20, rows(300, seed=1) + 20])
    single_kind = rows(600, seed=2) - 20
    everything = precision_and_recall(both, torch.cat([rows(300, seed=3) - 20, rows(300, seed=4) + 20]))
    assert everything.precision > 0.8
    assert everything.recall > 0.8
    narrow = precision_and_recall(both, single_kind, chunk=97)
    assert narrow.precision > 0.6
    assert narrow.recall == pytest.approx(0.5, abs=0.05)
    wrong = precision_and_recall(single_kind, single_kind + 100)
    assert (wrong.precision, wrong.recall) == (0, 0)


def test_too_little_is_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        frechet_distance(rows(1), rows(5))
    with pytest.raises(DataError, match="one width"):
        frechet_distance(rows(4), rows(4, 3))
    with pytest.raises(DataError, match="more than 5 rows"):
        precision_and_recall(rows(3), rows(9))
