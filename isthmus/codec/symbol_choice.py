"""Which symbols are worth their bits: rate–distortion-optimised quantisation, symbol by symbol while coding.

The encoder may write any integers; the decoder does not change. A latent is rounded to the nearest integer,
or to the next one towards the mean of its context where that saves more bits than the larger error costs. The
bits are those of the actual tables in the actual context, since symbols are chosen in the order of coding (in
the spirit of the rate–distortion-optimised quantisation of video coders: Sullivan and Wiegand 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import Ints
from isthmus.codec.context_model import Halves
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.tables import MAX_SYMBOL, MEAN_UNIT, Integers

# What a move must save beyond its error. Latents are where a training balanced error and rate, so the error
# rises at once, and the moves of one place, all towards their means, add up.
MOVE_BITS = 2.5
MAX_SAVED_BITS = 16.0  # by a move; where its error costs more, it need not be looked at


@dataclass(frozen=True, eq=False)
class ErrorCosts:
    """What errors of symbols cost.

    Attributes:
        bits: (C,) that a squared error of one step in each channel is worth.
        shift: (C,) by how much of a step the decoder reads symbols nearer to zero than they are.
    """

    bits: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]


def round_latents(latents: npt.NDArray[np.float32]) -> Ints:
    """Latents in steps → the nearest symbols, int32, at most ±32767."""
    return np.clip(np.rint(latents), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)


class SymbolChoice:
    """Chooses the symbols of some tiles during the walk over their contexts.

    Args:
        latents: (C, columns) in steps.
        halves: which columns are of the first and of the second half of the checkerboard.
    """

    def __init__(self, latents: npt.NDArray[np.float32], halves: Halves, costs: ErrorCosts) -> None:
        self.nearest = round_latents(latents)
        self._latents, self._halves, self._costs = latents, halves, costs
        # By how much of a step a latent lies beyond the nearest integer where a move can be worth it.
        self._least_offset = 0.5 - MAX_SAVED_BITS / (2 * np.maximum(costs.bits, 1e-3))

    def take(self, channel: int, half: int, model: SymbolModel) -> Ints:
        """The symbols (n,) of a channel in one half."""
        columns = self._halves[half]
        values = self.nearest[channel, columns].copy()
        least = self._least_offset[channel]
        if least > 0.49:
            return values
        away = model.mean - values * MEAN_UNIT
        offset = self._latents[channel, columns] - values
        where = np.flatnonzero((np.abs(away) > MEAN_UNIT // 2) & (offset * np.sign(away) > least))
        if not len(where):
            return values
        first = values[where]
        both = np.stack([first, first + np.sign(away[where])])  # and the next one towards the mean
        error = np.square(self._latents[channel, columns][where] - self._read(channel, both))
        cost = model.bits(both, where) + self._costs.bits[channel] * error
        values[where] = np.where(cost[1] + MOVE_BITS < cost[0], both[1], first)
        return values

    def _read(self, channel: int, symbols: Integers) -> npt.NDArray[np.float32]:
        """What the decoder reads for symbols, in steps."""
        return np.asarray(symbols - np.sign(symbols) * self._costs.shift[channel])
