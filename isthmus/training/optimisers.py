"""Optimisers from a recipe's `optimiser` settings, and the moving average of the weights.

`FusedAdamW` is AdamW (Loshchilov and Hutter 2019) as one fused pass over weights and moments. PyTorch's own
optimiser sorts and checks its tensors at every step, which takes as long as the pass itself for small
networks.

`WeightAverage` is an exponential moving average, less noisy than the last weights (Polyak and Juditsky 1992).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.training.players import Player


class FusedAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW(fused=True)`: the same numbers and the same state."""

    # The first call of PyTorch's own versions loads its compiler, which takes a second or two. Nothing is
    # compiled here.
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """One step of every parameter that has a gradient."""
        for group in self.param_groups:
            parameters: list[Tensor] = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            # The fused pass walks through memory, not through indices: gradients need their weights' strides.
            gradients = [
                g if g.stride() == p.stride() else torch.empty_like(p).copy_(g)
                for p in parameters
                if (g := p.grad) is not None
            ]
            states = [self.state[p] or self._begun(p) for p in parameters]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters,
                gradients,
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

    def _begun(self, parameter: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[parameter]
        state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state


def build_optimiser(player: Player) -> torch.optim.Optimizer:
    """A player's optimiser. Biases and gains are not decayed."""
    settings = player.optimiser
    matrices = [p for p in player.parameters if p.ndim >= 2]
    vectors = [p for p in player.parameters if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    rate = settings.peak_rate
    if settings.is_adaptive:
        # Critics have less momentum; all other players have Adam's usual 0.9. ε is far below PyTorch's, 10⁻⁸:
        # clipped gradients of a mean over pixels are smaller than that in deep layers of a healthy network.
        return FusedAdamW(groups, lr=rate, betas=(settings.momentum, settings.beta2), eps=1e-12, fused=True)
    momentum = 0.0 if settings.takes_all_images else settings.momentum
    return torch.optim.SGD(groups, lr=rate, momentum=momentum)


@torch.no_grad()
def clip_gradients(player: Player) -> None:
    """Shorten a player's gradients together to the length that its settings allow (Pascanu et al. 2013)."""
    gradients = [p.grad for p in player.parameters if p.grad is not None]
    if player.optimiser.clip <= 0 or not gradients:
        return
    length = torch.nn.utils.get_total_norm(gradients, foreach=True)
    share = player.optimiser.clip / (length + 1e-6)
    if length.device.type != "cpu":  # reading a number there means to wait for the device
        torch._foreach_mul_(gradients, share.clamp(max=1.0))
    elif not bool(share >= 1):  # also where it is not a number, for the loop to find
        torch._foreach_mul_(gradients, share)


class WeightAverage:
    """Keeps `average ← decay · average + (1 − decay) · weights` for every parameter of a module.

    Early on the decay is smaller, `(1 + t) / (10 + t)`, so that the first weights are soon forgotten. Other
    floating tensors are averaged in the same way, because batch normalisation's running statistics belong to
    the weights that they were measured with.
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
