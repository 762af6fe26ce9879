"""Latents ↔ symbols: steps of a quality, and the choice between the two nearest integers.

The encoder may write any integers; the decoder does not change. A latent is rounded to the nearest integer,
or to the next one towards the mean of its context where that saves more bits than the larger error costs. The
bits are those of the actual tables in the actual context, since symbols are chosen in the order of coding (in
the spirit of the rate–distortion-optimised quantisation of video coders: Sullivan and Wiegand 1998).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec.coder import Ints
from isthmus.codec.symbol_model import SymbolModel
from isthmus.codec.tables import MAX_SYMBOL, MEAN_UNIT, Integers
from isthmus.errors import DataError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.bottlenecks.entropy import rate_model

# A move must save this many bits more than its error is worth. Training put the latents where error and rate
# balance, so any move raises the error, and the moves of one place add up.
MOVE_BITS = 2.5
MAX_SAVED_BITS = 16.0  # by a move; where its error costs more, it need not be looked at
# Bits for a squared error of one step where the decoder has no linear path: trained steps are near to it.
_DEFAULT_STEP_BITS = 28.0
_KEPT_SHARE = 0.1  # of the channels, whose symbols are rounded to the nearest
_NEVER_BITS = 1e6

Latents = npt.NDArray[np.float32]


@torch.no_grad()
def to_steps(model: Autoencoder, values: Tensor, quality: float) -> npt.NDArray[np.float32]:
    """`latents (C, h, w)` in the steps of a quality from 1 to 100: float32.

    Raises:
        DataError: the quality is out of range.
    """
    scaled = values[None] * rate_model(model).gain(_quality(quality, values), 4)
    result: npt.NDArray[np.float32] = scaled[0].float().cpu().numpy()
    return result


@torch.no_grad()
def from_steps(model: Autoencoder, symbols: Ints, quality: float) -> Tensor:
    """Latents (C, h, w) that `quantise` makes these symbols of."""
    steps = torch.from_numpy(symbols).to(next(model.parameters()).device).float()[None]
    return (steps / rate_model(model).gain(_quality(quality, steps), 4))[0]


def quantise(model: Autoencoder, values: Tensor, quality: float) -> Ints:
    """`to_steps`, rounded: int32, at most ±32767."""
    return round_latents(to_steps(model, values, quality))


def round_latents(latents: Latents) -> Ints:
    """Latents in steps → the nearest symbols, int32, at most ±32767."""
    return np.clip(np.rint(latents), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)


@torch.no_grad()
def dequantise(model: Autoencoder, symbols: Ints, quality: float) -> Tensor:
    """Symbols (C, h, w) → what the decoder reads for them, (1, C, h, w)."""
    steps = torch.from_numpy(np.ascontiguousarray(symbols)).to(next(model.parameters()).device).float()[None]
    return rate_model(model).values(steps, _quality(quality, steps))


def _quality(quality: float, like: Tensor) -> Tensor:
    if not 1 <= quality <= 100:
        raise DataError(
            "quality {quality:g} is out of range: it runs from 1 to 100",
            id="codec.quality-range",
            quality=quality,
        )
    return torch.full((1,), float(quality), device=like.device)


@dataclass(frozen=True, eq=False)
class ErrorCosts:
    """What errors of symbols cost.

    Attributes:
        bits: (C,) that a squared error of one step in each channel is worth.
        shift: (C,) by how much of a step the decoder reads symbols nearer to zero than they are.
    """

    bits: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]


@torch.no_grad()
def error_costs(model: Autoencoder, quality: float) -> ErrorCosts:
    """What errors of symbols cost at a quality, from the change of the decoder's linear path for one step.

    A channel whose step changes the picture more than most costs more than in proportion. The first channels,
    the low frequencies, are never moved, because later symbols depend on them. Both rules come from
    measurements.
    """
    bottleneck = rate_model(model)
    quality_values = torch.tensor([float(quality)])
    channels = model.recipe.geometry.channels
    gain = bottleneck.gain(quality_values, 2).expand(1, channels)[0]
    painted = model.decoder.linear_energy()
    if painted is None:
        bits = torch.full((channels,), _DEFAULT_STEP_BITS)
    else:
        bits = float(bottleneck.error_weight(quality_values)) / math.log(2) * painted / gain.square()
        bits = 2 * bits.square() / bits.median()
    bits[: int(_KEPT_SHARE * channels)] = _NEVER_BITS
    shift = bottleneck.shift().expand(channels)
    return ErrorCosts(bits.float().cpu().numpy(), shift.float().cpu().numpy())


class SymbolChoice:
    """Chooses the symbols of some tiles while they are coded.

    Args:
        latents: of each tile, (C, h, w) in steps.
        costs: what errors of symbols cost.

    Attributes:
        nearest: the symbols of each tile that are nearest to its latents.
    """

    def __init__(self, latents: Sequence[Latents], costs: ErrorCosts) -> None:
        self.latents, self._costs = latents, costs
        self.nearest = [round_latents(values) for values in latents]
        # By how much of a step a latent lies beyond the nearest integer where a move can be worth it.
        self._least_offset = 0.5 - MAX_SAVED_BITS / (2 * np.maximum(costs.bits, 1e-3))

    def choose(self, channel: int, nearest: Ints, latents: Latents, model: SymbolModel) -> Ints:
        """The symbols (n,) of some steps of a channel, from the nearest ones."""
        values = nearest.copy()
        least = self._least_offset[channel]
        if least > 0.49:
            return values
        away = model.mean - values * MEAN_UNIT
        offset = latents - values
        where = np.flatnonzero((np.abs(away) > MEAN_UNIT // 2) & (offset * np.sign(away) > least))
        if not len(where):
            return values
        first = values[where]
        both = np.stack([first, first + np.sign(away[where])])  # and the next one towards the mean
        error = np.square(latents[where] - self._read(channel, both))
        cost = model.bits(both, where) + self._costs.bits[channel] * error
        values[where] = np.where(cost[1] + MOVE_BITS < cost[0], both[1], first)
        return values

    def _read(self, channel: int, symbols: Integers) -> npt.NDArray[np.float32]:
        """What the decoder reads for symbols, in steps."""
        return np.asarray(symbols - np.sign(symbols) * self._costs.shift[channel])
