"""Usual values at each place of a map: mean and deviation, by the distances to the picture's borders.

Networks mark the edges and corners of parts, and of pictures, more often than their middle. In deviations
from what good pictures have at the same place, a map of any size can be compared with one number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import DataError

BINS = 10  # per axis, from the border to the middle
PRIOR_PIXELS = 10.0  # as many of the whole map's pixels are added to each bin: few pixels prove little
LEAST_DEVIATION = 0.1  # share of the whole maps' deviation that a bin has at least

ROWS_AT_ONCE = 256  # of a map: doubles of a large one would take much memory

Map = npt.NDArray[np.float32]
Table = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PositionStatistics:
    """Statistics of maps in bins of relative distances to the borders.

    Attributes:
        mean, deviation: `(BINS, BINS)` by the distance to the nearer horizontal border, and to the nearer
            vertical one; 0 is at the border, the last bin in the middle.

    Examples:
        >>> maps = [np.random.default_rng(i).normal(3, 2, (40, 50)).astype(np.float32) for i in range(8)]
        >>> statistics = PositionStatistics.fit(maps)
        >>> abs(float(statistics.normalise(maps[0]).mean())) < 0.2
        True
    """

    mean: Table
    deviation: Table

    @classmethod
    def fit(cls, maps: Iterable[npt.NDArray[np.floating]]) -> PositionStatistics:
        """The statistics of good pictures' maps `(H, W)`, which may differ in size; one is held at a time.

        Raises:
            DataError: no map, one without pixels or of other axes, or one that is not finite.
        """
        count, total, square = (np.zeros((BINS, BINS)) for _ in range(3))
        for values in map(_check, maps):
            rows, columns = _bins(values.shape[0]), _bins(values.shape[1])
            for start in range(0, len(values), ROWS_AT_ONCE):
                band = values[start : start + ROWS_AT_ONCE].astype(np.float64)
                band_rows = rows[start : start + ROWS_AT_ONCE]
                for sums, what in ((count, np.ones_like(band)), (total, band), (square, band**2)):
                    sums += _sum_in_bins(what, band_rows, columns)
        if not count.any():
            raise DataError("position statistics need at least one map", id="segmentation.no-maps")
        everywhere = total.sum() / count.sum()
        spread = square.sum() / count.sum() - everywhere**2
        weight = count + PRIOR_PIXELS
        mean = (total + PRIOR_PIXELS * everywhere) / weight
        second = (square + PRIOR_PIXELS * (spread + everywhere**2)) / weight
        least = LEAST_DEVIATION * np.sqrt(max(spread, 0.0))
        deviation = np.maximum(np.sqrt(np.maximum(second - mean**2, 0.0)), max(least, 1e-6))
        return cls(mean, deviation)

    def normalise(self, values: npt.NDArray[np.floating]) -> Map:
        """`(H, W)` → the same in deviations from the mean at each place.

        Raises:
            DataError: a map without pixels, of other axes, or not finite.
        """
        values = _check(values)
        rows, columns = _bins(values.shape[0]), _bins(values.shape[1])
        result = np.empty(values.shape, np.float32)
        for start in range(0, len(values), ROWS_AT_ONCE):
            band = slice(start, start + ROWS_AT_ONCE)
            place = np.ix_(rows[band], columns)
            result[band] = (values[band] - self.mean[place]) / self.deviation[place]
        return result

    def tensors(self) -> dict[str, Tensor]:
        """Mean and deviation by name, `(BINS, BINS)` float32, as model files hold them."""
        return {
            "mean": torch.from_numpy(self.mean.astype(np.float32)),
            "deviation": torch.from_numpy(self.deviation.astype(np.float32)),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> PositionStatistics:
        """The inverse of `tensors`.

        Raises:
            LookupError: one is missing.
            ValueError: of another shape, not finite, or a deviation that is not positive.
        """
        mean, deviation = (tensors[name].double().numpy() for name in ("mean", "deviation"))
        if mean.shape != (BINS, BINS) or deviation.shape != (BINS, BINS):
            raise ValueError("position statistics have another shape")
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()):
            raise ValueError("position statistics are no means and deviations")
        return cls(mean, deviation)


def _check(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise DataError(
            "a map of shape {shape} is no map (H, W) of finite numbers",
            id="segmentation.map",
            shape=values.shape,
        )
    return values


def _bins(length: int) -> npt.NDArray[np.int64]:
    """The bin of each row or column: its distance to the nearer border, in halves of the length."""
    place = np.arange(length)
    distance = (np.minimum(place, length - 1 - place) + 0.5) / (length / 2)
    return np.minimum((distance * BINS).astype(np.int64), BINS - 1)


def _sum_in_bins(values: Table, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> Table:
    by_row = np.zeros((BINS, values.shape[1]))
    np.add.at(by_row, rows, values)
    by_both = np.zeros((BINS, BINS))
    np.add.at(by_both.T, columns, by_row.T)
    return by_both
