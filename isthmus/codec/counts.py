"""Counting symbols under integer contexts, and counts → the integer weights of an entropy coder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec.contexts import MIN_SCALE, SCALE_UNIT, Contexts
from isthmus.codec.tables import (
    CLASSES,
    ENTRIES,
    FRACTIONS,
    LEVELS_PER_BIN,
    MAX_DIRECT_RESIDUAL,
    MAX_SYMBOL,
    MEAN_CLASSES,
    MEAN_UNIT,
    RATIO_PRIOR,
    RATIO_STEPS,
    RATIO_UNIT,
    Integers,
    mean_classes,
)

BINS = 44
_SCALES = (0.025, 320.0)  # of a logistic density, in steps: middle of the first bin and of the last
PRIOR_COUNT = 20.0  # weight of the expected shares, in observations
_STEPS_PER_DOUBLING = 10  # of a weight's code

WeightArrays = Mapping[str, npt.NDArray[Any]]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScaleBins:
    """Thresholds of the levels of scale and the tables that follow from them; fields as those of `Band`."""

    thresholds: npt.NDArray[np.int32]
    spread: npt.NDArray[np.int32]
    ratios: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]
    powers: npt.NDArray[np.int32]


def level_scales() -> Probabilities:
    """The scale that each level stands for: (FINE·BINS,), a geometric series."""
    step = (_SCALES[1] / _SCALES[0]) ** (1 / (BINS - 1) / LEVELS_PER_BIN)
    result: Probabilities = _SCALES[0] * step ** (np.arange(LEVELS_PER_BIN * BINS) - (LEVELS_PER_BIN - 1) / 2)
    return result


def bin_scales() -> Probabilities:
    """The scale that each bin stands for: (BINS,)."""
    return np.geomspace(*_SCALES, BINS)


def build_scale_bins() -> ScaleBins:
    """The same for every model."""
    middle = np.sqrt(level_scales()[1:] * level_scales()[:-1]) - MIN_SCALE
    sums = np.log(np.expm1(np.maximum(middle, 1e-9)))  # the inverse of softplus
    step = level_scales()[1] / level_scales()[0]
    steps = np.arange(-RATIO_STEPS, RATIO_STEPS) + 0.5
    # A logistic number's mean magnitude is 2·ln 2 of its scale; a little is added for what rounding does.
    expected = 2 * np.log(2) * np.maximum(level_scales(), MIN_SCALE) + MIN_SCALE
    return ScaleBins(
        thresholds=np.where(middle > 0, np.rint(sums * SCALE_UNIT), -(2**30)).astype(np.int32),
        spread=np.rint(MEAN_UNIT * expected).astype(np.int32),
        ratios=np.rint(RATIO_UNIT * step**steps).astype(np.int32),
        shifts=np.maximum(0, np.floor(np.log2(bin_scales() / 2.5))).astype(np.int32),
        powers=np.rint(16 * 2 ** (np.arange(256) / _STEPS_PER_DOUBLING)).astype(np.int32),
    )


def count_symbols(weights: WeightArrays, groups: Sequence[Tensor], bins: ScaleBins) -> npt.NDArray[np.uint8]:
    """Codes (BINS, CLASSES, ENTRIES) from symbols, (N, C, h, w) each, under integer contexts."""
    counts = np.zeros((BINS, CLASSES, ENTRIES))
    contexts = _as_contexts(weights)
    for group in groups:
        for part in torch.split(group, 4):
            with torch.no_grad():
                mean, total = (np.rint(t.numpy()).astype(np.int64) for t in contexts(part.double()))
            counts += _count_entries(part.numpy(), mean, total, bins)
    density = expected_shares(bins.shifts)  # (BINS, FRACTIONS, ENTRIES)
    by_zone = counts.reshape(BINS, FRACTIONS, MEAN_CLASSES, ENTRIES)
    pooled = by_zone.sum(2) + PRIOR_COUNT * density
    pooled /= pooled.sum(-1, keepdims=True)
    return to_codes((by_zone + PRIOR_COUNT * pooled[:, :, None]).reshape(counts.shape))


def expected_shares(shifts: npt.NDArray[np.int32]) -> Probabilities:
    """Probability of each entry under a logistic density: (BINS, FRACTIONS, ENTRIES), rows sum to 1."""
    from scipy.special import expit

    fraction = (np.arange(FRACTIONS) + 0.5) / (2 * FRACTIONS)  # of a step that the mean lies above the middle
    step = 2.0 ** shifts[:, None, None]
    low = (np.arange(-MAX_DIRECT_RESIDUAL, MAX_DIRECT_RESIDUAL + 1) * step) - 0.5 - fraction[:, None]
    scale = bin_scales()[:, None, None]
    mass = expit((low + step) / scale) - expit(low / scale)
    outside = np.maximum(1 - mass.sum(-1, keepdims=True), 1e-9)
    mass = np.concatenate([np.maximum(mass, 1e-9), outside], axis=-1)
    result: Probabilities = mass / mass.sum(-1, keepdims=True)
    return result


def to_codes(shares: Probabilities) -> npt.NDArray[np.uint8]:
    """Rows of positive numbers as rounded logarithms, 255 for the largest of a row."""
    below = np.log2(shares / shares.max(-1, keepdims=True)) * _STEPS_PER_DOUBLING
    codes: npt.NDArray[np.uint8] = np.rint(np.maximum(255 + below, 0)).astype(np.uint8)
    return codes


def _count_entries(
    symbols: npt.NDArray[np.int32], mean: Integers, total: Integers, scale_bins: ScaleBins
) -> Probabilities:
    """How often each entry came in each class of each bin, as `symbols` codes them."""
    mean = np.clip(mean, -MAX_SYMBOL * MEAN_UNIT, MAX_SYMBOL * MEAN_UNIT)
    middle = (mean + MEAN_UNIT // 2) // MEAN_UNIT
    away = mean - middle * MEAN_UNIT
    level = np.searchsorted(scale_bins.thresholds, total, side="right")
    active = symbols.any((2, 3), keepdims=True)
    residual = np.abs(symbols.astype(np.int64) * MEAN_UNIT - mean) * active
    expected_residual = scale_bins.spread[level].astype(np.int64) * active
    ratio = (_before(residual) + RATIO_PRIOR) * RATIO_UNIT // (_before(expected_residual) + RATIO_PRIOR)
    shifted = level + np.searchsorted(scale_bins.ratios, ratio, side="right") - RATIO_STEPS
    bins = np.clip(shifted, 0, LEVELS_PER_BIN * BINS - 1) // LEVELS_PER_BIN
    high = ((symbols - middle) * np.where(away < 0, -1, 1)) >> scale_bins.shifts[bins]
    entry = np.where(np.abs(high) > MAX_DIRECT_RESIDUAL, ENTRIES - 1, high + MAX_DIRECT_RESIDUAL)
    shape = (BINS, CLASSES, ENTRIES)
    where = np.ravel_multi_index((bins, mean_classes(middle, away), entry), shape)
    is_active = np.broadcast_to(active, symbols.shape)
    counts: Probabilities = (
        np.bincount(where[is_active], minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    )
    return counts


def _before(values: Integers) -> Integers:
    """(N, C, h, w): sums over earlier channels, and for the second half over the own four neighbours."""
    height, width = values.shape[2:]
    f = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
    beside = f[:, :, :-2, 1:-1] + f[:, :, 2:, 1:-1] + f[:, :, 1:-1, :-2] + f[:, :, 1:-1, 2:]
    second = np.add.outer(np.arange(height), np.arange(width)) % 2 == 1
    sums: Integers = np.cumsum(values, axis=1) - values + beside * second
    return sums


def _as_contexts(weights: WeightArrays) -> Contexts:
    """Integer weights in double precision, where their sums are exact."""
    channels = len(weights["mean_own"])
    lower = np.tril_indices(channels, -1)
    contexts = Contexts(channels).double()
    with torch.no_grad():
        for name in ("mean", "scale"):
            full = np.zeros((channels, channels, 9))
            full[lower] = weights[name]
            getattr(contexts, name).copy_(torch.from_numpy(full).view(channels, channels, 3, 3))
        for name in ("mean_own", "scale_own", "mean_bias", "scale_bias"):
            getattr(contexts, name).copy_(torch.from_numpy(weights[name].astype(np.float64)))
    return contexts
