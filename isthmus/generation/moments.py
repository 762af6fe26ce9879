"""A linear map that gives samples the mean and covariance that they should have.

A velocity learned by least squares lacks what noise hides from it, so a flow's samples vary less than the
codes it was trained on. The map between two normal distributions that moves least mends the first two
moments (Peyré and Cuturi 2019, "Computational optimal transport", remark 2.31) and leaves the rest alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ROWS_PER_NUMBER = 20  # of codes, below which a covariance is not known well enough to be matched


@dataclass(frozen=True, eq=False)
class MomentMatch:
    """`x ↦ matrix · x + offset` over the numbers of a vector, or over the channels of a grid.

    Attributes:
        matrix: `(C, C)` symmetric, positive definite; offset: `(C,)`.
    """

    matrix: Tensor
    offset: Tensor

    def apply(self, codes: Tensor) -> Tensor:
        """`(N, C)` or `(N, C, h, w)`, mapped."""
        return self._multiply(codes, self.matrix) + _broadcast(self.offset, codes)

    def invert(self, codes: Tensor) -> Tensor:
        """The inverse of `applied`."""
        return self._multiply(codes - _broadcast(self.offset, codes), torch.linalg.inv(self.matrix))

    def _multiply(self, codes: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("ij,nj...->ni...", matrix, codes)


def fit_moments(made: Tensor, target: Tensor) -> MomentMatch:
    """The map under which `made` has the moments of `target`, both `(n, C)` or `(n, C, h, w)`.

    With few rows only the total variance is matched.
    """
    ours, theirs = _rows(made).double(), _rows(target).double()
    first, second = torch.cov(ours.T).view(2 * [ours.shape[1]]), torch.cov(theirs.T).view(2 * [ours.shape[1]])
    if min(len(made), len(target)) < ROWS_PER_NUMBER * ours.shape[1]:
        scale = (second.trace() / first.trace().clamp_min(1e-12)).sqrt()
        matrix = scale * torch.eye(len(first), dtype=torch.float64)
    else:
        root, inverse = _power(first, 0.5), _power(first, -0.5)
        matrix = inverse @ _power(root @ second @ root, 0.5) @ inverse
    offset = theirs.mean(0) - matrix @ ours.mean(0)
    return MomentMatch(matrix.float(), offset.float())


def _rows(codes: Tensor) -> Tensor:
    return codes if codes.ndim == 2 else codes.movedim(1, -1).flatten(0, -2)


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    floor = 1e-8 * float(values.max().clamp_min(1e-12))
    power: Tensor = vectors * values.clamp_min(floor) ** exponent @ vectors.T
    return power


def _broadcast(offset: Tensor, codes: Tensor) -> Tensor:
    return offset.view(-1, *(1,) * (codes.ndim - 2))
