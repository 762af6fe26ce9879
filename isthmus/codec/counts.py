"""Counting symbols under integer contexts, and counts → the integer weights of an entropy coder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec.contexts import LEAST_SCALE, SCALE_UNIT, Contexts
from isthmus.codec.symbols import classes
from isthmus.codec.tables import (
    CLASSES,
    EASE,
    ENTRIES,
    FINE,
    FRACTIONS,
    LARGEST,
    MEAN_UNIT,
    RATIO_UNIT,
    REACH,
    STEPS_OF_SURPRISE,
    ZONES,
    Integers,
)

BINS = 44
_SCALES = (0.025, 320.0)  # of a logistic density, in steps: middle of the first bin and of the last
PRIOR = 20.0  # observations that what is known before weighs against what was counted
_STEPS_PER_DOUBLING = 10  # of a weight's code

Whole = Mapping[str, npt.NDArray[Any]]
Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ruler:
    """Where the levels of scale lie, and what follows from that; the fields of a `Band` of the same names."""

    thresholds: npt.NDArray[np.int32]
    spread: npt.NDArray[np.int32]
    ratios: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]
    powers: npt.NDArray[np.int32]


def levels() -> Shares:
    """The scale that each level stands for: (FINE·BINS,), a geometric series."""
    step = (_SCALES[1] / _SCALES[0]) ** (1 / (BINS - 1) / FINE)
    result: Shares = _SCALES[0] * step ** (np.arange(FINE * BINS) - (FINE - 1) / 2)
    return result


def scales() -> Shares:
    """The scale that each bin stands for: (BINS,)."""
    return np.geomspace(*_SCALES, BINS)


def ruler() -> Ruler:
    """The same for every model."""
    middle = np.sqrt(levels()[1:] * levels()[:-1]) - LEAST_SCALE
    sums = np.log(np.expm1(np.maximum(middle, 1e-9)))  # the inverse of softplus
    step = levels()[1] / levels()[0]
    steps = np.arange(-STEPS_OF_SURPRISE, STEPS_OF_SURPRISE) + 0.5
    # A logistic number's mean magnitude is 2·ln 2 of its scale; a little is added for what rounding does.
    expected = 2 * np.log(2) * np.maximum(levels(), LEAST_SCALE) + LEAST_SCALE
    return Ruler(
        thresholds=np.where(middle > 0, np.rint(sums * SCALE_UNIT), -(2**30)).astype(np.int32),
        spread=np.rint(MEAN_UNIT * expected).astype(np.int32),
        ratios=np.rint(RATIO_UNIT * step**steps).astype(np.int32),
        shifts=np.maximum(0, np.floor(np.log2(scales() / 2.5))).astype(np.int32),
        powers=np.rint(16 * 2 ** (np.arange(256) / _STEPS_PER_DOUBLING)).astype(np.int32),
    )


def counted(whole: Whole, groups: Sequence[Tensor], by: Ruler) -> npt.NDArray[np.uint8]:
    """Codes (BINS, CLASSES, ENTRIES) from symbols, (N, C, h, w) each, under integer contexts."""
    counts = np.zeros((BINS, CLASSES, ENTRIES))
    contexts = _as_contexts(whole)
    for group in groups:
        for part in torch.split(group, 4):
            with torch.no_grad():
                mean, total = (np.rint(t.numpy()).astype(np.int64) for t in contexts(part.double()))
            counts += _counts(part.numpy(), mean, total, by)
    density = expected(by.shifts)  # (BINS, FRACTIONS, ENTRIES)
    by_zone = counts.reshape(BINS, FRACTIONS, ZONES, ENTRIES)
    pooled = by_zone.sum(2) + PRIOR * density
    pooled /= pooled.sum(-1, keepdims=True)
    return as_codes((by_zone + PRIOR * pooled[:, :, None]).reshape(counts.shape))


def expected(shifts: npt.NDArray[np.int32]) -> Shares:
    """What a logistic density gives each entry: (BINS, FRACTIONS, ENTRIES), rows sum to 1."""
    from scipy.special import expit

    fraction = (np.arange(FRACTIONS) + 0.5) / (2 * FRACTIONS)  # of a step that the mean lies above the middle
    step = 2.0 ** shifts[:, None, None]
    low = (np.arange(-REACH, REACH + 1) * step) - 0.5 - fraction[:, None]
    scale = scales()[:, None, None]
    mass = expit((low + step) / scale) - expit(low / scale)
    outside = np.maximum(1 - mass.sum(-1, keepdims=True), 1e-9)
    mass = np.concatenate([np.maximum(mass, 1e-9), outside], axis=-1)
    result: Shares = mass / mass.sum(-1, keepdims=True)
    return result


def as_codes(shares: Shares) -> npt.NDArray[np.uint8]:
    """Rows of positive numbers as rounded logarithms, 255 for the largest of a row."""
    below = np.log2(shares / shares.max(-1, keepdims=True)) * _STEPS_PER_DOUBLING
    codes: npt.NDArray[np.uint8] = np.rint(np.maximum(255 + below, 0)).astype(np.uint8)
    return codes


def _counts(symbols: npt.NDArray[np.int32], mean: Integers, total: Integers, by: Ruler) -> Shares:
    """How often each entry came in each class of each bin, as `symbols` codes them."""
    mean = np.clip(mean, -LARGEST * MEAN_UNIT, LARGEST * MEAN_UNIT)
    middle = (mean + MEAN_UNIT // 2) // MEAN_UNIT
    away = mean - middle * MEAN_UNIT
    level = np.searchsorted(by.thresholds, total, side="right")
    loud = symbols.any((2, 3), keepdims=True)
    found = np.abs(symbols.astype(np.int64) * MEAN_UNIT - mean) * loud
    promised = by.spread[level].astype(np.int64) * loud
    ratio = (_before(found) + EASE) * RATIO_UNIT // (_before(promised) + EASE)
    shifted = level + np.searchsorted(by.ratios, ratio, side="right") - STEPS_OF_SURPRISE
    bins = np.clip(shifted, 0, FINE * BINS - 1) // FINE
    high = ((symbols - middle) * np.where(away < 0, -1, 1)) >> by.shifts[bins]
    entry = np.where(np.abs(high) > REACH, ENTRIES - 1, high + REACH)
    shape = (BINS, CLASSES, ENTRIES)
    where = np.ravel_multi_index((bins, classes(middle, away), entry), shape)
    heard = np.broadcast_to(loud, symbols.shape)
    counts: Shares = (
        np.bincount(where[heard], minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
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
