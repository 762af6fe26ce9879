"""Codes that are normal distributions, kept near the standard one (Kingma and Welling 2014, appendix B)."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.metrics.pixel_metrics import kl_to_standard_normal
from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck, over_batch
from isthmus.model.trace import Latent, Trace


class GaussianBottleneck(Bottleneck):
    """`z = μ + σ ε` when sampled, `z = μ` otherwise; the penalty is KL(q‖N(0, I)) in nats per image.

    Free bits: a unit whose batch-mean KL is below the allowance pays a constant instead (Kingma et al. 2016,
    appendix C8), so it is not pushed further down.
    """

    penalty_name = "kl"
    expansion = 2

    def __init__(self, settings: axes.Gaussian) -> None:
        super().__init__()
        self.weight, self.warmup, self.free = settings.weight, settings.warmup, settings.free_bits

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:
        mean, log_variance = h.chunk(2, 1)
        # σ from 1e-3 to 55: exp must not overflow early in training.
        log_variance = log_variance.clamp(-14, 8)
        parts = {"mean": mean, "log_variance": log_variance}
        if not sample:
            return Latent(mean, parts)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return Latent(mean + (0.5 * log_variance).exp() * noise, parts)

    def penalty(self, trace: Trace) -> Tensor:
        kl = self.kl_per_unit(trace.code)
        if self.free > 0:
            kl = torch.where(over_batch(kl.detach().mean(0)) > self.free, kl, torch.full_like(kl, self.free))
        return kl.sum(1)

    def kl_per_unit(self, code: Latent) -> Tensor:
        """`(N, units)`, nats."""
        return kl_to_standard_normal(code.parts["mean"].flatten(1), code.parts["log_variance"].flatten(1))
