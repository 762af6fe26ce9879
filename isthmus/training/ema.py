"""An exponential moving average of the weights, less noisy than the last ones (Polyak and Juditsky 1992)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """Keeps `average ← decay · average + (1 − decay) · weights` for every parameter of a module.

    Early on the decay is smaller, `(1 + t) / (10 + t)`, so that the first weights are soon forgotten. Other
    floating tensors are averaged alike: batch normalisation's running statistics belong to the weights that
    they were gathered under.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module, self.decay = module, decay
        self.tensors = {name: t.detach().clone() for name, t in _averaged(module).items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        if not self.decay:
            return
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [t.detach() for t in _averaged(self.module).values()]
        torch._foreach_lerp_(list(self.tensors.values()), weights, 1 - decay)

    @contextlib.contextmanager
    def swapped_in(self) -> Iterator[None]:
        """The module with averaged weights inside the block; its own come back after."""
        if not self.decay:
            yield
            return
        tensors = _averaged(self.module)
        own: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            own[name], tensor.data = tensor.data, self.tensors[name]
        try:
            yield
        finally:
            for name, tensor in tensors.items():
                tensor.data = own[name]


def _averaged(module: nn.Module) -> dict[str, Tensor]:
    buffers = {name: b for name, b in module.named_buffers() if b.is_floating_point()}
    return {**dict(module.named_parameters()), **buffers}
