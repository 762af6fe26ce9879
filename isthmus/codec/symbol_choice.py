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

from isthmus.codec.coder import Floats, Ints
from isthmus.codec.context_model import Halves
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.tables import MAX_SYMBOL, MEAN_UNIT


@dataclass(frozen=True, eq=False)
class ErrorCosts:
    """What errors of symbols cost.

    Attributes:
        bits: (C,) that a squared error of one step in each channel is worth.
        shift: (C,) by how much of a step the decoder reads symbols nearer to zero than they are.
    """

    bits: Floats
    shift: Floats


class SymbolChoice:
    """Chooses the symbols of some tiles during the walk over their contexts.

    Args:
        latents: (C, columns) in steps.
        halves: which columns are of the first and of the second half of the checkerboard.
    """

    def __init__(self, latents: npt.NDArray[np.float32], halves: Halves, costs: ErrorCosts) -> None:
        self.nearest: Ints = np.clip(np.rint(latents), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)
        self._latents, self._halves, self._costs = latents, halves, costs

    def take(self, channel: int, half: int, model: SymbolModel) -> Ints:
        """The symbols (n,) of a channel in one half."""
        columns = self._halves[half]
        values = self.nearest[channel, columns].copy()
        away = model.mean - values * MEAN_UNIT
        where = np.flatnonzero(np.abs(away) > MEAN_UNIT // 2)
        first = values[where]
        second = (first + np.sign(away[where])).astype(np.int32)
        latents = self._latents[channel, columns][where]
        saved = model.bits(first, where) - model.bits(second, where)
        lost = self._error_bits(channel, second, latents) - self._error_bits(channel, first, latents)
        values[where] = np.where(saved > lost, second, first)
        return values

    def _error_bits(self, channel: int, values: Ints, latents: npt.NDArray[np.float32]) -> Floats:
        read = values - np.sign(values) * self._costs.shift[channel]
        return np.asarray(self._costs.bits[channel] * np.square(latents - read))
