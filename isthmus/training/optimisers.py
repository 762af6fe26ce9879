"""Optimisers from a recipe's `optimiser` settings."""

from __future__ import annotations

import torch

from isthmus.training.fused_adamw import FusedAdamW
from isthmus.training.players import Player


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
        # Critics are built with less momentum; everyone else has Adam's usual 0.9. ε is far below PyTorch's,
        # 10⁻⁸: clipped gradients of a mean over pixels are smaller than that in deep layers of a sound net.
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
    if length.device.type != "cpu":  # to look at a number there is to wait for it
        torch._foreach_mul_(gradients, share.clamp(max=1.0))
    elif not bool(share >= 1):  # also where it is not a number, for the loop to find
        torch._foreach_mul_(gradients, share)
