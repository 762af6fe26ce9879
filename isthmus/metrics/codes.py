"""How a set of codes uses its units: spread, sparsity, dead and active units, effective dimension."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.errors import DataError

ACTIVE_VARIANCE = 0.01
MAX_MATRIX_SIDE = 2048


@dataclass(frozen=True)
class CodeStatistics:
    """Numbers about N codes of d units; see `code_statistics` for what each means."""

    images: int
    units: int
    mean: float
    std: float
    mean_variance: float
    active_units: int
    dead_units: int
    zero_fraction: float
    non_zeros_per_image: float
    effective_rank: float
    participation_ratio: float
    mean_abs_correlation: float
    max_abs_correlation: float


def code_statistics(codes: Tensor) -> CodeStatistics:
    """Describe `codes`, one row per image; for a variational code give the posterior means.

    - `mean`, `std`: over all numbers. `mean_variance`: over units, of each one's variance over images.
    - `active_units`: units with Var_x(E[z|x]) > 0.01 (Burda et al. 2016, §5.2, appendix C).
    - `dead_units`: units that have one and the same value for every image.
    - `zero_fraction`, `non_zeros_per_image`: of numbers that are exactly 0.
    - `effective_rank`: exp of the entropy of the covariance's normalised eigenvalues (the form of Roy &
      Vetterli 2007, on variances); `participation_ratio`: (Σλ)² / Σλ². Both lie between 1 and the rank; 0
      when nothing varies. Where both N and d exceed 2048, they are taken from 2048 evenly spaced images.
    - `mean_abs_correlation`, `max_abs_correlation`: |correlation| of pairs of units that are not dead (of
      2048 evenly spaced ones when there are more); 0 when there is no pair.

    Args:
        codes: (N, d), real, finite; grids are flattened by the caller (or given one row per position).

    Raises:
        DataError: not (N, d), empty, or not finite.
    """
    if codes.ndim != 2 or codes.numel() == 0:
        raise DataError(
            "codes must be (N, d) and not empty, got {shape}",
            id="metric.codes-shape",
            shape=tuple(codes.shape),
        )
    if not codes.isfinite().all():
        raise DataError("codes hold infinite or undefined values", id="metric.codes-not-finite")
    zeros = int((codes == 0).sum())
    dead = codes.amax(0) == codes.amin(0)
    rows = codes.detach().float()
    variance = unit_variance(rows)
    ranks = _effective_dimensions(rows)
    correlations = _correlations(rows[:, ~dead])
    return CodeStatistics(
        images=len(rows),
        units=rows.shape[1],
        mean=float(rows.mean(dtype=torch.float64)),
        std=float(rows.std(correction=0)),
        mean_variance=float(variance.mean()),
        active_units=int((variance > ACTIVE_VARIANCE).sum()),
        dead_units=int(dead.sum()),
        zero_fraction=zeros / codes.numel(),
        non_zeros_per_image=(codes.numel() - zeros) / len(codes),
        effective_rank=ranks[0],
        participation_ratio=ranks[1],
        mean_abs_correlation=correlations[0],
        max_abs_correlation=correlations[1],
    )


def unit_variance(codes: Tensor) -> Tensor:
    """(N, d) -> (d,): each unit's variance over the images (divided by N)."""
    return codes.var(0, correction=0)


def _effective_dimensions(rows: Tensor) -> tuple[float, float]:
    if min(rows.shape) > MAX_MATRIX_SIDE:
        rows = rows[_spread_indices(len(rows))]
    centred = (rows - rows.mean(0)).double()
    # The two products have the same non-zero eigenvalues; take the smaller.
    tall = len(rows) >= rows.shape[1]
    eigenvalues = torch.linalg.eigvalsh(centred.T @ centred if tall else centred @ centred.T).clamp_min(0)
    total = eigenvalues.sum()
    if total == 0:
        return 0.0, 0.0
    share = eigenvalues / total
    return float(torch.exp(-torch.xlogy(share, share).sum())), float(1 / share.square().sum())


def _correlations(live: Tensor) -> tuple[float, float]:
    if live.shape[1] > MAX_MATRIX_SIDE:
        live = live[:, _spread_indices(live.shape[1])]
    units = live.shape[1]
    if units < 2:
        return 0.0, 0.0
    centred = (live - live.mean(0)).double()
    scaled = centred / torch.linalg.vector_norm(centred, dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    size = (scaled.T @ scaled).abs().fill_diagonal_(0).clamp_max(1)
    return float(size.sum() / (units * (units - 1))), float(size.max())


def _spread_indices(count: int) -> Tensor:
    return torch.linspace(0, count - 1, MAX_MATRIX_SIDE).round().long()
