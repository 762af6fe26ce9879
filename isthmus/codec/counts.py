"""Counting symbols under integer contexts, and counts → the integer weights of an entropy coder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec.coder import TOTAL
from isthmus.codec.contexts import LEAST_SCALE, SCALE_UNIT, Contexts
from isthmus.codec.tables import ENTRIES, FRACTIONS, LARGEST, MEAN_UNIT, REACH

BINS = 40
_SCALES = (0.06, 400.0)  # of a logistic density, in steps: middle of the first bin and of the last
PRIOR = 40.0  # observations that the logistic density weighs against what was counted

Whole = Mapping[str, npt.NDArray[Any]]


def scales() -> npt.NDArray[np.float64]:
    """The scale that each bin stands for: (BINS,), a geometric series."""
    return np.geomspace(*_SCALES, BINS)


def thresholds_and_shifts() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Where bins begin in units of a context's sum, and the lowest bits of residuals that each codes raw."""
    middle = np.sqrt(scales()[1:] * scales()[:-1]) - LEAST_SCALE
    sums = np.log(np.expm1(middle))  # the inverse of softplus
    shifts = np.maximum(0, np.floor(np.log2(scales() / 2.5)))
    return np.rint(sums * SCALE_UNIT).astype(np.int32), shifts.astype(np.int32)


def counted(
    whole: Whole,
    groups: Sequence[Tensor],
    thresholds: npt.NDArray[np.int32],
    shifts: npt.NDArray[np.int32],
) -> npt.NDArray[np.int32]:
    """Weights (BINS, FRACTIONS, ENTRIES) from symbols, (N, C, h, w) each, under integer contexts."""
    counts = np.zeros((len(shifts), FRACTIONS, ENTRIES))
    contexts = _as_contexts(whole)
    for group in groups:
        for part in torch.split(group, 4):
            with torch.no_grad():
                mean, scale = (np.rint(t.numpy()).astype(np.int64) for t in contexts(part.double()))
            bins, fraction, entry = _classes(part.numpy(), mean, scale, thresholds, shifts)
            where = np.ravel_multi_index((bins, fraction, entry), counts.shape)
            counts += np.bincount(where.reshape(-1), minlength=counts.size).reshape(counts.shape)
    return integer_weights(counts + PRIOR * expected(shifts))


def expected(shifts: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """What a logistic density gives each entry: (BINS, FRACTIONS, ENTRIES), rows sum to 1."""
    from scipy.special import expit

    fraction = (np.arange(FRACTIONS) + 0.5) / (2 * FRACTIONS)  # of a step that the mean lies above the middle
    step = 2.0 ** shifts[:, None, None]
    low = (np.arange(-REACH, REACH + 1) * step) - 0.5 - fraction[:, None]
    scale = scales()[:, None, None]
    mass = expit((low + step) / scale) - expit(low / scale)
    outside = np.maximum(1 - mass.sum(-1, keepdims=True), 1e-9)
    mass = np.concatenate([mass, outside], axis=-1)
    result: npt.NDArray[np.float64] = mass / mass.sum(-1, keepdims=True)
    return result


def integer_weights(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Rows of positive numbers as integers of at least 1 that sum to 2²⁴: largest remainders get the rest."""
    entries = shares.shape[-1]
    exact = shares / shares.sum(-1, keepdims=True) * (TOTAL - entries)
    whole = np.floor(exact).astype(np.int64)
    missing = TOTAL - entries - whole.sum(-1, keepdims=True)
    rank = np.argsort(np.argsort(whole - exact, axis=-1, kind="stable"), axis=-1, kind="stable")
    weights: npt.NDArray[np.int32] = (whole + (rank < missing) + 1).astype(np.int32)
    return weights


def _classes(
    symbols: npt.NDArray[np.int32],
    mean: npt.NDArray[np.int64],
    scale: npt.NDArray[np.int64],
    thresholds: npt.NDArray[np.int32],
    shifts: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bin, class of fraction and entry of each symbol, as `symbols._code` has them."""
    mean = np.clip(mean, -LARGEST * MEAN_UNIT, LARGEST * MEAN_UNIT)
    middle = (mean + MEAN_UNIT // 2) // MEAN_UNIT
    away = mean - middle * MEAN_UNIT
    bins = np.searchsorted(thresholds, scale, side="right")
    fraction = np.minimum(np.abs(away) * (2 * FRACTIONS) // MEAN_UNIT, FRACTIONS - 1)
    high = ((symbols - middle) * np.where(away < 0, -1, 1)) >> shifts[bins]
    entry = np.where(np.abs(high) > REACH, ENTRIES - 1, high + REACH)
    return bins, fraction, entry


def _as_contexts(whole: Whole) -> Contexts:
    """Integer weights in double precision, where their sums are exact."""
    channels = len(whole["mean_own"])
    lower = np.tril_indices(channels, -1)
    contexts = Contexts(channels).double()
    with torch.no_grad():
        for name in ("mean", "scale"):
            full = np.zeros((channels, channels, 9))
            full[lower] = whole[name]
            getattr(contexts, name).copy_(torch.from_numpy(full).view(channels, channels, 3, 3))
        for name in ("mean_own", "scale_own", "mean_bias", "scale_bias"):
            getattr(contexts, name).copy_(torch.from_numpy(whole[name].astype(np.float64)))
    return contexts
