"""The interface of all bottlenecks, and means over the batch of a step.

Some terms depend on a mean over the batch (how often a unit is active, how many gates are open). If several
processes hold a part of the batch each, the training sets with `means_joined_by` how their means are joined;
the model itself does not depend on processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace

_joined: ContextVar[Callable[[Tensor], Tensor] | None] = ContextVar("joined", default=None)


def over_batch(mean: Tensor) -> Tensor:
    """A mean over the images of this process → over those of all processes, with gradients."""
    join = _joined.get()
    return mean if join is None else join(mean)


def variance_over_batch(rows: Tensor) -> Tensor | None:
    """`(n, C)` → `(C,)`: the variance of each column over all processes, with gradients; None of one row."""
    join = _joined.get()
    if join is not None:
        return join((rows - join(rows.mean(0))).square().mean(0))
    return rows.var(0, correction=0) if len(rows) > 1 else None


@contextmanager
def means_joined_by(join: Callable[[Tensor], Tensor] | None) -> Iterator[None]:
    """Within: `over_batch` asks `join`."""
    token = _joined.set(join)
    try:
        yield
    finally:
        _joined.reset(token)


class Bottleneck(nn.Module):
    """Turns features into a code and computes its penalty.

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
        """The nearest code that the bottleneck can give, of the shape of the changed `values (N, C, …)`."""
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
