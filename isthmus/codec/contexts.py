"""Means and scales of symbols as linear functions of their context, in floats: fitted here, rounded later.

The same form as `symbols._walk` computes in integers and as the `entropy` bottleneck learns in training.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.codec.tables import CROSS, MAX_SYMBOL, MEAN_UNIT, TAPS
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.bottlenecks.entropy import rate_model

SCALE_UNIT = 1024
WEIGHT_GRAIN = (
    4  # the many weights of earlier channels are multiples of this, which halves what a model file needs
)
MIN_SCALE = 0.05  # in steps: below, almost every symbol is certain


class Contexts(nn.Module):
    """Weights of a band for C channels, in the units of symbols.

    Parameters: `mean`, `scale` (C, C, 3, 3), of which the part below the diagonal counts; `mean_own`,
        `scale_own` (C, 4); `mean_bias`, `scale_bias` (2, C). A scale is softplus of its sum + `MIN_SCALE`.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.mean = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.scale = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.mean_own = nn.Parameter(torch.zeros(channels, 4))
        self.scale_own = nn.Parameter(torch.full((channels, 4), 0.05))
        self.mean_bias = nn.Parameter(torch.zeros(2, channels))
        self.scale_bias = nn.Parameter(torch.zeros(2, channels))
        self.earlier: Tensor
        self.register_buffer("earlier", torch.ones(channels, channels).tril(-1)[:, :, None, None])

    def forward(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """`(N, C, h, w)` → mean, and the sum that a scale is made of, of each symbol."""
        return (
            self._linear(symbols, self.mean, self.mean_own, self.mean_bias),
            self._linear(symbols.abs(), self.scale, self.scale_own, self.scale_bias),
        )

    def _linear(self, values: Tensor, weight: Tensor, own: Tensor, bias: Tensor) -> Tensor:
        second = second_half(values)
        earlier = self.earlier.to(values.dtype)
        cross = torch.zeros(self.channels, TAPS, dtype=values.dtype).index_copy(1, torch.tensor(CROSS), own)
        across = F.conv2d(values, weight * earlier, padding=1)
        beside = F.conv2d(values, cross.view(-1, 1, 3, 3), padding=1, groups=self.channels)
        constant = torch.where(second, bias[1][:, None, None], bias[0][:, None, None])
        return across + beside * second + constant

    def bits(self, symbols: Tensor) -> Tensor:
        """Cost of each symbol under a logistic density over its step (Ballé et al. 2018, eq. 7)."""
        mean, scale = self(symbols)
        inverse = 1 / compute_scale(scale)
        away = (symbols - mean).abs()
        # log(F(x + ½) − F(x − ½)), in a form that neither cancels nor overflows.
        tails = F.logsigmoid((0.5 - away) * inverse) + F.logsigmoid((0.5 + away) * inverse)
        nats = -tails - (-torch.expm1(-inverse)).log()
        # A symbol in the tail of a wrong density must not dominate the fit: in files an escape code costs
        # about this.
        return nats.clamp_max(20.0) / float(np.log(2))

    def round_weights(self) -> dict[str, npt.NDArray[Any]]:
        """The integers of a `Band`."""
        lower = np.tril_indices(self.channels, -1)

        def narrow(values: Tensor, unit: int, grain: int = 1) -> npt.NDArray[np.int16]:
            rounded = np.rint(values.detach().double().numpy() * (unit / grain)) * grain
            narrowed: npt.NDArray[np.int16] = np.clip(rounded, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int16)
            return narrowed

        def wide(values: Tensor, unit: int) -> npt.NDArray[np.int32]:
            rounded = np.rint(values.detach().double().numpy() * unit)
            bounded: npt.NDArray[np.int32] = np.clip(rounded, -(2**30), 2**30).astype(np.int32)
            return bounded

        return {
            "mean": narrow(self.mean, MEAN_UNIT, WEIGHT_GRAIN)[lower].reshape(-1, TAPS),
            "scale": narrow(self.scale, SCALE_UNIT, WEIGHT_GRAIN)[lower].reshape(-1, TAPS),
            "mean_own": narrow(self.mean_own, MEAN_UNIT),
            "scale_own": narrow(self.scale_own, SCALE_UNIT),
            "mean_bias": wide(self.mean_bias, MEAN_UNIT),
            "scale_bias": wide(self.scale_bias, SCALE_UNIT),
        }


def compute_scale(total: Tensor) -> Tensor:
    """The sum of a context → the scale of a logistic density, in steps."""
    return F.softplus(total) + MIN_SCALE


def second_half(like: Tensor) -> Tensor:
    """(h, w) booleans: where row + column is odd."""
    rows = torch.arange(like.shape[-2])[:, None]
    return (rows + torch.arange(like.shape[-1])) % 2 == 1


def has_learned_contexts(model: Autoencoder) -> bool:
    """Whether the training has already fitted contexts to the symbols."""
    return model.recipe.bottleneck.has_rate and rate_model(model).context is not None


@torch.no_grad()
def init_contexts(model: Autoencoder, quality: float) -> Contexts:
    """The contexts that training learned for this model's symbols at `quality`; empty ones where it learned
    none.
    """
    contexts = Contexts(model.recipe.geometry.channels)
    bottleneck = rate_model(model)
    if bottleneck.context is None:
        return contexts
    qualities = torch.tensor([quality])
    gain = bottleneck.gain(qualities, 2).expand(1, contexts.channels)[0]
    ratio = _ratio_across(gain)
    learned = bottleneck.context
    contexts.mean.copy_(learned.mean * ratio)
    contexts.scale.copy_(learned.magnitude * ratio)
    contexts.mean_own.copy_(learned.mean_beside.flatten(1)[:, list(CROSS)])
    contexts.scale_own.copy_(learned.magnitude_beside.flatten(1)[:, list(CROSS)])
    contexts.scale_bias.copy_(bottleneck.spread(qualities)[0].expand(2, -1))
    return contexts


@torch.no_grad()
def move_contexts(contexts: Contexts, model: Autoencoder, before: float, after: float) -> Contexts:
    """The contexts for the finer or coarser steps of another quality, converted by the ratio of the gains."""
    moved = Contexts(contexts.channels)
    moved.load_state_dict(contexts.state_dict())
    bottleneck = rate_model(model)
    qualities = torch.tensor([before, after])
    gains = bottleneck.gain(qualities, 2).expand(2, contexts.channels)
    ratio = gains[1] / gains[0]
    moved.mean.mul_(_ratio_across(ratio))
    moved.scale.mul_(_ratio_across(ratio))
    moved.mean_bias.mul_(ratio)
    if bottleneck.context is not None:
        spread = bottleneck.spread(qualities)
        moved.scale_bias.add_(spread[1] - spread[0])
    return moved


def _ratio_across(gain: Tensor) -> Tensor:
    """The factor of the weight of channel j for channel i when each channel is multiplied by its gain."""
    return (gain[:, None] / gain[None, :])[:, :, None, None]
