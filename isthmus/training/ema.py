"""An exponential moving average of the weights, less noisy than the last ones (Polyak and Juditsky 1992)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """Keeps `average ← decay · average + (1 − decay) · weights` for every parameter of a module.

    Early on the decay is smaller, `(1 + t) / (10 + t)`, so that the first weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.tensors = {name: p.detach().clone() for name, p in module.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [p.detach() for _, p in self.module.named_parameters()]
        torch._foreach_lerp_(list(self.tensors.values()), weights, 1 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The module with averaged weights inside the block; its own come back after."""
        if not self.decay:
            yield
            return
        parameters = dict(self.module.named_parameters())
        own: dict[str, Tensor] = {}
        for name, parameter in parameters.items():
            own[name], parameter.data = parameter.data, self.tensors[name]
        try:
            yield
        finally:
            for name, parameter in parameters.items():
                parameter.data = own[name]
