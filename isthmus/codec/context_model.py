"""The walk over symbols in the order of coding, each in the context of those before it.

Encoder and decoder run the same code, so that they cannot disagree. Channels go in their order, each in two
halves of a checkerboard. A symbol's mean and scale are linear in symbols coded before it: those of earlier
channels in a 3×3 neighbourhood, and for the second half the channel's own four neighbours (the two-pass
checkerboard of He et al. 2021, "Checkerboard context model for efficient learned image compression", with
integer weights in place of their networks). The scale is then corrected by the ratio of observed to expected
absolute residual over the channels already coded at that place. All sums are of integers, and exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import Floats, Ints
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.tables import MAX_SYMBOL, MEAN_UNIT, RATIO_PRIOR, RATIO_UNIT, TAPS, Band, Integers
from isthmus.codec.tile_layout import Halves, TileLayout
from isthmus.threads import one_blas_thread

_MAX_MEAN = MAX_SYMBOL * MEAN_UNIT

# The symbols (n,) of a channel in one half of all tiles, from what is likely there.
Take = Callable[[int, int, SymbolModel], Ints]

CHANNELS_PER_PRODUCT = 16  # channels whose contexts from all earlier ones are one matrix product

EXACT_LIMIT = 2**24  # of integers in single precision


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
        cells = np.ix_(channels, self._rows[rows])
        weights = self._band.mean_rows[cells], self._band.scale_rows[cells]
        values = self._symbols[rows], self._sizes[rows]
        most = self._band.reach[np.ix_(channels, self._active[first:last])] @ self._largest[first:last]
        if most.max(initial=0) < EXACT_LIMIT:
            mean, scale = (w @ v for w, v in zip(weights, values, strict=True))
            return mean.astype(np.float64), scale.astype(np.float64)
        mean, scale = (
            w.astype(np.float64) @ v.astype(np.float64) for w, v in zip(weights, values, strict=True)
        )
        return mean, scale


def walk_contexts(band: Band, at: TileLayout, active: npt.NDArray[np.bool_], take: Take) -> Ints:
    """The symbols (C, n). `take` gives each when it is called with its context, in the order of coding.

    Args:
        at: the places of all tiles, in n columns.
        active: (tiles, C): which channels are coded; the others are zero. `take` may switch off a tile for
            all later channels.
    """
    with one_blas_thread:
        return _walk_contexts(band, at, active, take)


def _walk_contexts(band: Band, at: TileLayout, active: npt.NDArray[np.bool_], take: Take) -> Ints:
    symbols = np.zeros((band.channels, at.count), np.int32)
    channels = np.flatnonzero(active.any(0))
    sums = ContextSums(band, channels, at.halves)
    padded = np.zeros(at.padded)
    flat = padded.reshape(-1)
    # Found and expected, of the channels so far, eased; and of this one, with a border of zeros.
    residual_sums = np.full((2, at.count), RATIO_PRIOR, np.int64)
    own_residuals = np.zeros((2, *at.padded), np.int64)
    flat_residuals = own_residuals.reshape(2, -1)
    for index, channel in enumerate(channels):
        mean, scale = sums.predict(index)
        for half, part in enumerate(at.halves):
            inner = at.inner[part]
            half_mean, half_scale, ratio_sums = mean[part], scale[part], residual_sums[:, part]
            if half:
                own = flat.take(at.cross)
                half_mean += band.own_rows[0, channel] @ own
                half_scale += band.own_rows[1, channel] @ np.abs(own, out=own)
                ratio_sums = ratio_sums + _sum_neighbours(own_residuals).take(at.odd, axis=1)
            level = band.thresholds_float.searchsorted(half_scale, side="right")
            ratio = ratio_sums[0] * RATIO_UNIT // ratio_sums[1]
            bins = band.bins_by_level.take(level + band.ratios_wide.searchsorted(ratio, side="right"))
            rounded_mean = np.minimum(np.maximum(half_mean, -_MAX_MEAN), _MAX_MEAN).astype(np.int64)
            values = take(int(channel), half, SymbolModel(band, rounded_mean, bins))
            residual, expected = np.abs(values * MEAN_UNIT - rounded_mean), band.spread_wide.take(level)
            for mine, is_active in zip(at.parts[half], active[:, channel].tolist(), strict=True):
                if not is_active:
                    residual[mine] = expected[mine] = 0
            symbols[channel, part] = flat[inner] = values
            flat_residuals[0, inner], flat_residuals[1, inner] = residual, expected
        residual_sums += flat_residuals.take(at.inner, axis=1)
        sums.update(index, flat, at.around)
    return symbols


def _sum_neighbours(padded: Integers) -> Integers:
    """(2, h + 2, w + 2) → (2, h·w): up, left, right and down of each step added."""
    rows = padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1]
    rows += padded[:, 1:-1, :-2]
    rows += padded[:, 1:-1, 2:]
    return rows.reshape(2, -1)
