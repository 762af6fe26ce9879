"""Fréchet distance between two sets of vectors, each taken for a normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.errors import DataError


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) (Dowson and Landau 1982, eq. 4; Heusel et al. 2017, eq. 6).

    With features of an Inception network this is the FID; with others the numbers are not comparable to it.

    Args:
        first, second: `(n, d)` and `(m, d)`, at least two rows each. Small samples bias it upwards: compare
            only sets of one size.

    Returns:
        The squared distance, at least 0, in the features' unit squared.

    Raises:
        DataError: other shapes, or values that are not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            "vectors of one width are needed, got {first} and {second}",
            id="metric.vectors-width",
            first=tuple(first.shape),
            second=tuple(second.shape),
        )
    if min(len(first), len(second)) < 2:
        raise DataError("a Fréchet distance needs at least two rows on each side", id="metric.frechet-rows")
    if not (first.isfinite().all() and second.isfinite().all()):
        raise DataError(
            "vectors to be compared hold infinite or undefined values", id="metric.vectors-not-finite"
        )
    a, b = first.double(), second.double()
    means = (a.mean(0) - b.mean(0)).square().sum()
    left, right = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(a.shape[1], -1)
    # tr (Σ₁Σ₂)^½ is the sum of singular values of Σ₁^½ Σ₂^½: only roots of symmetric matrices are taken.
    cross = torch.linalg.svdvals(_matrix_root(left) @ _matrix_root(right)).sum()
    return max(0.0, float(means + left.trace() + right.trace() - 2 * cross))


def _matrix_root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return root
