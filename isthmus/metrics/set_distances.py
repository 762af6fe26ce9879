"""Distances between two sets of vectors: Fréchet, energy, MMD, two-sample accuracy, precision and recall."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.metrics.neighbours import check_finite, check_widths, find_neighbours


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
    _check(first, second)
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


NEIGHBOURS = 5


@dataclass(frozen=True)
class PrecisionRecall:
    """Both from 0 to 1.

    Attributes:
        precision: share of made vectors that lie among the real ones.
        recall: share of real vectors that lie among the made ones.
    """

    precision: float
    recall: float


def precision_and_recall(
    real: Tensor, generated: Tensor, *, neighbours: int = NEIGHBOURS, chunk: int = 2048
) -> PrecisionRecall:
    """k-nearest-neighbour precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2).

    The place of a set is the union of balls around its rows, each as large as the distance to its k-th
    nearest other row.

    Args:
        real, generated: `(n, d)` and `(m, d)`, more than `neighbours` rows each; best as many of each.
        neighbours: k. The paper takes 3 for 50,000 rows; with 10,000 the balls of five leave fewer holes:
            93 instead of 86 % of other real digits then count as inside.

    Raises:
        DataError: other shapes, or fewer rows.
    """
    if min(len(real), len(generated)) <= neighbours:
        raise DataError(
            "precision and recall with {neighbours} neighbours need more than {neighbours} rows",
            id="metric.support-rows",
            neighbours=neighbours,
        )
    return PrecisionRecall(
        precision=_share_inside(generated, real, neighbours, chunk),
        recall=_share_inside(real, generated, neighbours, chunk),
    )


def _share_inside(rows: Tensor, place: Tensor, neighbours: int, chunk: int) -> float:
    distances, _ = find_neighbours(place, place, count=neighbours, skip_same_row=True, chunk=chunk)
    radii = distances[:, -1]
    parts = []
    for part in torch.split(rows.double(), chunk):
        inside = torch.zeros(len(part), dtype=torch.bool, device=part.device)
        for start in range(0, len(place), chunk):
            near = torch.cdist(part, place[start : start + chunk].double())
            inside |= (near <= radii[start : start + chunk]).any(1)
        parts.append(inside)
    return float(torch.cat(parts).double().mean())


SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def squared_mmd(first: Tensor, second: Tensor) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3).

    The kernel is a mean of Gaussians whose squared widths are the median squared distance between rows of
    `second` times ¼, ½, 1, 2 and 4, so the value does not depend on the unit of the vectors. It lies near 0
    (on either side) where the two distributions are one, and below 1.

    Args:
        first, second: (n, d) and (m, d), at least two rows each; `second` is the reference, here usually the
            prior. All pairs are compared: memory holds the three distance matrices.

    Raises:
        DataError: other shapes, or values that are not finite.
    """
    _check(first, second)
    a, b = first.double(), second.double()
    within = torch.cdist(b, b).square()
    n, m = len(a), len(b)
    median = within[~torch.eye(m, dtype=torch.bool, device=b.device)].median().clamp_min(1e-30)
    own, other = _kernel(torch.cdist(a, a).square(), median), _kernel(within, median)
    across = _kernel(torch.cdist(a, b).square(), median)
    # Without the diagonals, which compare a row with itself, the estimate has no bias.
    inside_a = (own.sum() - own.diagonal().sum()) / (n * (n - 1))
    inside_b = (other.sum() - other.diagonal().sum()) / (m * (m - 1))
    return float(inside_a + inside_b - 2 * across.mean())


def energy_distance(first: Tensor, second: Tensor, *, chunk: int = 2048) -> float:
    """2·E‖X−Y‖ − E‖X−X'‖ − E‖Y−Y'‖ (Székely and Rizzo 2013, eq. 5), without a row's distance to itself.

    In the vectors' own unit; near 0 (on either side) where the two distributions are one.

    Args:
        first, second: (n, d) and (m, d), at least two rows each; all pairs are compared, chunk by chunk.

    Raises:
        DataError: other shapes, or values that are not finite.
    """
    _check(first, second)
    n, m = len(first), len(second)
    across = _distances(first, second, chunk) / (n * m)
    inside = _distances(first, first, chunk) / (n * (n - 1))
    return 2 * across - inside - _distances(second, second, chunk) / (m * (m - 1))


def _distances(first: Tensor, second: Tensor, chunk: int) -> float:
    parts = [a.double() for a in torch.split(first, chunk)], [b.double() for b in torch.split(second, chunk)]
    return sum(float(torch.cdist(a, b).sum()) for a in parts[0] for b in parts[1])


def nearest_neighbour_accuracy(first: Tensor, second: Tensor) -> float:
    """Share of rows whose nearest other row is of their own set (Lopez-Paz and Oquab 2017, §2).

    ½ when the sets cannot be distinguished, 1 when they are separate; below ½ when one repeats the other.

    Args:
        first, second: (n, d) both, as many rows in each.

    Raises:
        DataError: other shapes, or values that are not finite.
    """
    _check(first, second)
    if len(first) != len(second):
        raise DataError(
            "as many rows are needed on both sides, got {first} and {second}",
            id="metric.rows-differ",
            first=len(first),
            second=len(second),
        )
    all_rows = torch.cat([first, second])
    _, rows = find_neighbours(all_rows, all_rows, skip_same_row=True)
    is_first = torch.arange(len(all_rows), device=all_rows.device) < len(first)
    return float((is_first == is_first[rows[:, 0]]).double().mean())


def _kernel(squared: Tensor, median: Tensor) -> Tensor:
    kernel = torch.zeros_like(squared)
    for scale in SCALES:
        kernel += torch.exp(-squared / (2 * scale * median)) / len(SCALES)
    return kernel


def _check(first: Tensor, second: Tensor) -> None:
    check_widths(first, second)
    if min(len(first), len(second)) < 2:
        raise DataError("two samples need at least two rows each", id="metric.two-samples-rows")
    check_finite(first, second)
