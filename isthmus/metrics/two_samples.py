"""Whether two sets of vectors look like draws from one distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.metrics.neighbours import find_neighbours

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

    ½ when the sets cannot be told apart, 1 when they lie apart; below ½ when one repeats the other.

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
    both = torch.cat([first, second])
    _, rows = find_neighbours(both, both, skip_same_row=True)
    is_first = torch.arange(len(both), device=both.device) < len(first)
    return float((is_first == is_first[rows[:, 0]]).double().mean())


def _kernel(squared: Tensor, median: Tensor) -> Tensor:
    kernel = torch.zeros_like(squared)
    for scale in SCALES:
        kernel += torch.exp(-squared / (2 * scale * median)) / len(SCALES)
    return kernel


def _check(first: Tensor, second: Tensor) -> None:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise DataError(
            "vectors of one width are needed, got {first} and {second}",
            id="metric.vectors-width",
            first=tuple(first.shape),
            second=tuple(second.shape),
        )
    if min(len(first), len(second)) < 2:
        raise DataError("two samples need at least two rows each", id="metric.two-samples-rows")
    if not (first.isfinite().all() and second.isfinite().all()):
        raise DataError(
            "vectors to be compared hold infinite or undefined values", id="metric.vectors-not-finite"
        )
