"""The integers that turn symbols into bytes: fitted once to a trained model, and stored in its file.

A `Band` serves a range of qualities. All its numbers are integers, because an entropy coder needs the same
numbers on every machine; docs/reference/format.md says how the numbers are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import TOTAL, Floats

MAX_SYMBOL = 32767  # of a symbol's magnitude
TAPS = 9  # the 3×3 neighbourhood, row by row
CROSS = (1, 3, 5, 7)  # of these, the four that touch the middle: up, left, right, down
MEAN_UNIT = 1024  # a mean is a sum of weights × symbols / MEAN_UNIT
MEAN_BITS = MEAN_UNIT.bit_length() - 1
FRACTIONS = 8  # classes of the distance from a mean to the nearest integer
MEAN_CLASSES = 5  # that integer is 0; ±1 and the mean nearer to 0, or farther; beyond ±1, nearer or farther
CLASSES = FRACTIONS * MEAN_CLASSES
LEVELS_PER_BIN = 4  # levels of scale to a bin
RATIO_PRIOR = 2 * MEAN_UNIT  # added to both terms of the ratio: few residuals change little
RATIO_UNIT = 4096
RATIO_STEPS = 24  # levels that surprise can raise or lower
MAX_DIRECT_RESIDUAL = 16  # residuals of at most this magnitude have their own weight; larger ones escape
ENTRIES = 2 * MAX_DIRECT_RESIDUAL + 2
MAX_BINS = 256
MAX_CHANNELS = 4096

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """Contexts and tables for one range of qualities, of C channels, S bins of scale.

    Attributes:
        mean, scale: int16 (C·(C−1)/2, 9): weights of channel j's symbols (of their magnitudes) for channel
            i > j, row i·(i−1)/2 + j, over the 3×3 neighbourhood.
        mean_own, scale_own: int16 (C, 4): of the channel's own four neighbours, second half only.
        mean_bias, scale_bias: int32 (2, C): by half.
        thresholds: int32 (FINE·S−1,), rising: where the levels of a scale's sum begin.
        spread: int32 (FINE·S,): magnitude expected at a level, in 1/MEAN_UNIT.
        ratios: int32 (2·m,), rising: of surprise, in 1/RATIO_UNIT; past the middle each raises the level.
        shifts: int32 (S,): lowest bits of a residual that are coded raw.
        codes: uint8 (S, CLASSES, ENTRIES): rounded logarithms of weights; `powers` says of what.
        powers: int32 (256,): what each code stands for.
        silent: int32 (C,): weight, out of 2²⁴, of a channel's being all zero in a tile.
    """

    mean: npt.NDArray[np.int16]
    scale: npt.NDArray[np.int16]
    mean_own: npt.NDArray[np.int16]
    scale_own: npt.NDArray[np.int16]
    mean_bias: npt.NDArray[np.int32]
    scale_bias: npt.NDArray[np.int32]
    thresholds: npt.NDArray[np.int32]
    spread: npt.NDArray[np.int32]
    ratios: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.int32]
    codes: npt.NDArray[np.uint8]
    powers: npt.NDArray[np.int32]
    silent: npt.NDArray[np.int32]

    @property
    def channels(self) -> int:
        return len(self.silent)

    @cached_property
    def mean_rows(self) -> npt.NDArray[np.float32]:
        """(C, C·9): `mean` as a square matrix."""
        return _square(self.mean, self.channels)

    @cached_property
    def scale_rows(self) -> npt.NDArray[np.float32]:
        return _square(self.scale, self.channels)

    @cached_property
    def reach(self) -> Floats:
        """(C, C): how much symbols of magnitude 1 in channel j can move a sum of channel i, at most."""
        rows = np.stack([self.mean_rows, self.scale_rows]).astype(np.float64)
        moved: Floats = np.abs(rows).reshape(2, self.channels, self.channels, TAPS).sum(-1).max(0)
        return moved

    @cached_property
    def own_rows(self) -> Floats:
        """(2, C, 4): `mean_own` and `scale_own`."""
        return np.stack([self.mean_own, self.scale_own]).astype(np.float64)

    @cached_property
    def thresholds_float(self) -> Floats:
        return self.thresholds.astype(np.float64)

    @cached_property
    def ratios_wide(self) -> Integers:
        return self.ratios.astype(np.int64)

    @cached_property
    def shifts_wide(self) -> Integers:
        return self.shifts.astype(np.int64)

    @cached_property
    def spread_wide(self) -> Integers:
        return self.spread.astype(np.int64)

    @cached_property
    def bins_by_level(self) -> Integers:
        """The bin at each sum of a level and of the number of `ratios` that surprise exceeds."""
        lowest = -(len(self.ratios) // 2)
        levels = np.arange(lowest, len(self.spread) + len(self.ratios) + lowest)
        return np.clip(levels, 0, len(self.spread) - 1) // LEVELS_PER_BIN

    @cached_property
    def weights(self) -> Integers:
        """(S, CLASSES, ENTRIES): integers of at least 1 whose rows sum to 2²⁴."""
        shares = self.powers[self.codes].astype(np.int64)
        weights: Integers = 1 + shares * (TOTAL - ENTRIES) // shares.sum(-1, keepdims=True)
        # What rounding down left over goes to the first of the largest.
        largest = np.argmax(weights, axis=-1, keepdims=True)
        remainder = TOTAL - weights.sum(-1, keepdims=True)
        np.put_along_axis(weights, largest, np.take_along_axis(weights, largest, -1) + remainder, -1)
        return weights

    @cached_property
    def coder_weights(self) -> Floats:
        """(S·CLASSES, ENTRIES): `weights` − 1 as the coder wants them."""
        return self.weights.reshape(-1, ENTRIES).astype(np.float64) - 1

    @cached_property
    def bits(self) -> Floats:
        """(S·CLASSES·ENTRIES,): what coding each entry takes."""
        bits: Floats = np.log2(TOTAL / self.weights).reshape(-1)
        return bits

    def check(self) -> None:
        """Raises:
        ValueError: not numbers that this code could have fitted.
        """
        for name, (kind, shape) in shapes(self.channels, len(self.shifts)).items():
            value = getattr(self, name)
            if value.shape != shape or value.dtype != kind:
                raise ValueError(f"{name} is {value.dtype} {value.shape}, not {np.dtype(kind)} {shape}")
        if (np.diff(self.thresholds) < 0).any() or (np.diff(self.ratios) < 0).any():
            raise ValueError("thresholds or ratios fall")
        if self.shifts.min() < 0 or self.shifts.max() > 12 or self.spread.min() < 0:
            raise ValueError("shifts or spreads are out of range")
        if self.powers.min() < 1:
            raise ValueError("a weight would be 0")
        if self.silent.min() < 1 or self.silent.max() >= TOTAL:
            raise ValueError("weights of silence are out of range")


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """All bands, the quality at which each was fitted, and the symbols and bytes of the self-test.

    Attributes:
        bands: by rising quality.
        qualities: (bands,), in hundredths.
        proof_symbols: int32 (C, h, w), a piece of a real image's code.
        proof_bytes: what band `proof_band` makes of it.
    """

    bands: tuple[Band, ...]
    qualities: tuple[int, ...]
    proof_symbols: npt.NDArray[np.int32]
    proof_bytes: bytes
    proof_band: int = 0

    @property
    def channels(self) -> int:
        return self.bands[0].channels

    def nearest(self, quality: int) -> int:
        """Number of the band fitted nearest to `quality` (hundredths)."""
        return int(np.argmin(np.abs(np.asarray(self.qualities) - quality)))


def shapes(channels: int, bins: int) -> dict[str, tuple[type[np.integer[Any]], tuple[int, ...]]]:
    """Type and shape of each array of a band, in the order in which they are packed."""
    c, s = channels, bins
    return {
        "mean": (np.int16, (c * (c - 1) // 2, TAPS)),
        "scale": (np.int16, (c * (c - 1) // 2, TAPS)),
        "mean_own": (np.int16, (c, 4)),
        "scale_own": (np.int16, (c, 4)),
        "mean_bias": (np.int32, (2, c)),
        "scale_bias": (np.int32, (2, c)),
        "thresholds": (np.int32, (LEVELS_PER_BIN * s - 1,)),
        "spread": (np.int32, (LEVELS_PER_BIN * s,)),
        "ratios": (np.int32, (2 * RATIO_STEPS,)),
        "shifts": (np.int32, (s,)),
        "codes": (np.uint8, (s, CLASSES, ENTRIES)),
        "powers": (np.int32, (256,)),
        "silent": (np.int32, (c,)),
    }


def mean_classes(middle: Integers, away: Integers) -> Integers:
    """Which table of its bin a symbol gets, by where its mean lies: 0 to CLASSES − 1."""
    fraction = np.minimum((np.abs(away) * (2 * FRACTIONS)) >> MEAN_BITS, FRACTIONS - 1)
    zone = 2 * np.minimum(np.abs(middle), 2) - (middle * away < 0)
    return np.asarray(fraction * MEAN_CLASSES + zone, np.int64)


def _square(packed: npt.NDArray[np.int16], channels: int) -> npt.NDArray[np.float32]:
    full = np.zeros((channels, channels, TAPS), np.float32)
    full[np.tril_indices(channels, -1)] = packed
    return full.reshape(channels, channels * TAPS)
