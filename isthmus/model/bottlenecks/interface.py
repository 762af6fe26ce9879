"""What every bottleneck agrees on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace


class Bottleneck(nn.Module):
    """Turns features into a code and says what the code costs.

    Attributes:
        expansion: features wanted per code channel (2 when the encoder also gives a variance or a gate).
        unit_columns: the decoder's first layer must have unit columns, or the penalty could be dodged.
        penalty_name: what the penalty is called in logs; empty when there is none.
        weight, warmup: of the penalty in the objective.
        wants_jacobian: the penalty differentiates the code by the image.
    """

    expansion: int = 1
    unit_columns: bool = False
    penalty_name: str = ""
    weight: float = 0.0
    warmup: float = 0.0
    wants_jacobian: bool = False

    @classmethod
    def build(cls, settings: Any, recipe: Recipe, channels: int) -> Bottleneck:  # noqa: ARG003
        """Made from its own settings, and from the rest of the recipe and the images' channels at need."""
        return cls(settings)

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:
        """`h (N, F)` or `(N, F, h, w)`, float32. `sample` off gives the one deterministic code."""
        raise NotImplementedError

    def project(self, values: Tensor) -> Tensor:
        """The nearest code that it can give, of the same shape, after somebody changed `values (N, C, …)`."""
        return values

    def kl_per_unit(self, code: Latent) -> Tensor:
        """`(N, units)` nats from the prior, of a stochastic code."""
        raise NotImplementedError

    def rate(self, code: Latent) -> Tensor:
        """`(N,)` nats per image, of a code with a rate."""
        raise NotImplementedError

    def penalty(self, trace: Trace) -> Tensor:
        """`(N,)`, in nats per image or the unit its docstring states."""
        return torch.zeros(trace.images.shape[0], device=trace.images.device)
