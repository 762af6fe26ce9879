"""What the channels so far say of the next one: exact sums of integer weights × symbols.

Integers below 2²⁴ in single precision, or below 2⁵³ in double, add to the same sum in whatever order a
machine takes them. Symbols of photographs are small, so that single precision nearly always does; the largest
magnitudes so far, which a decoder knows as well, say when it does not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import Floats
from isthmus.codec.tables import TAPS, Band

CHANNELS_PER_PRODUCT = 16  # channels whose contexts from all earlier ones are one matrix product
EXACT_LIMIT = 2**24  # of integers in single precision
Halves = tuple[slice, slice]


class ContextSums:
    """The contexts of the channels of some tiles, predicted and updated in coding order.

    Args:
        active: the channels that are not silent, in order.
        halves: which columns are of the first and of the second half of the checkerboard.
    """

    def __init__(self, band: Band, active: npt.NDArray[np.intp], halves: Halves) -> None:
        self._band, self._active, self._halves = band, active, halves
        self._rows = (active[:, None] * TAPS + np.arange(TAPS)).reshape(-1)
        # Rows are (channel, tap) of the channels so far without silent ones; columns are steps of tiles.
        self._symbols, self._sizes = np.empty((2, len(self._rows), halves[1].stop), np.float32)
        self._largest = np.zeros(len(active))  # magnitude in each channel so far
        self._far = (np.empty((0, 0)), np.empty((0, 0)))

    def predict(self, index: int) -> tuple[Floats, Floats]:
        """Sums (columns,) for mean and scale of channel `active[index]`, without its own neighbours."""
        begin = index - index % CHANNELS_PER_PRODUCT
        if index == begin:
            group = self._active[begin : begin + CHANNELS_PER_PRODUCT]
            self._far = self._products(group, 0, begin)
            for far, bias in zip(self._far, (self._band.mean_bias, self._band.scale_bias), strict=True):
                for half, part in enumerate(self._halves):
                    far[:, part] += bias[half, group, None]
        near = self._products(self._active[index : index + 1], begin, index)
        mean, scale = (far[index - begin] for far in self._far)
        mean += near[0][0]
        scale += near[1][0]
        return mean, scale

    def update(self, index: int, padded: Floats, around: npt.NDArray[np.intp]) -> None:
        """Take the symbols of channel `active[index]` on the flat canvas, and each column's neighbourhood."""
        mine = slice(index * TAPS, (index + 1) * TAPS)
        self._symbols[mine] = padded.take(around)
        np.abs(self._symbols[mine], out=self._sizes[mine])
        self._largest[index] = self._sizes[mine].max(initial=0)

    def _products(self, channels: npt.NDArray[np.intp], first: int, last: int) -> tuple[Floats, Floats]:
        """Sums (channels, columns) over channels `active[first:last]`, in double precision."""
        if first == last:
            empty = np.zeros((2, len(channels), self._symbols.shape[1]))
            return empty[0], empty[1]
        rows = slice(first * TAPS, last * TAPS)
        here = np.ix_(channels, self._rows[rows])
        weights = self._band.mean_rows[here], self._band.scale_rows[here]
        values = self._symbols[rows], self._sizes[rows]
        most = self._band.reach[np.ix_(channels, self._active[first:last])] @ self._largest[first:last]
        if most.max(initial=0) < EXACT_LIMIT:
            mean, scale = (w @ v for w, v in zip(weights, values, strict=True))
            return mean.astype(np.float64), scale.astype(np.float64)
        mean, scale = (
            w.astype(np.float64) @ v.astype(np.float64) for w, v in zip(weights, values, strict=True)
        )
        return mean, scale
