"""Codes of which few numbers are active: by a target activation, by count, or by stochastic gates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck, over_batch
from isthmus.model.geometry import Geometry
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace


class KLSparseBottleneck(Bottleneck):
    """Σⱼ KL(ρ‖ρ̂ⱼ), ρ̂ⱼ the batch mean of unit j's sigmoid (Ng 2011, CS294A notes, §3).

    In a grid code ρ̂ⱼ is also a mean over positions, and the sum counts every position.
    """

    penalty_name = "kl_sparse"
    unit_columns = True

    def __init__(self, settings: axes.KLSparse) -> None:
        super().__init__()
        self.weight, self.warmup, self.target = settings.weight, settings.warmup, settings.target

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        return Latent(h.sigmoid())

    def project(self, values: Tensor) -> Tensor:
        return values.clamp(0, 1)

    def penalty(self, trace: Trace) -> Tensor:
        z = trace.code.values.flatten(2) if trace.code.values.ndim > 2 else trace.code.values[..., None]
        mean = over_batch(z.mean((0, 2))).clamp(1e-6, 1 - 1e-6)
        rho = self.target
        kl = rho * (rho / mean).log() + (1 - rho) * ((1 - rho) / (1 - mean)).log()
        return (kl.sum() * z.shape[2]).expand(z.shape[0])


class TopKBottleneck(Bottleneck):
    """Keeps the k numbers of largest magnitude, the rest are exactly zero (Makhzani and Frey 2013).

    In a grid code the k are chosen at every position. A unit that is never among them gets no gradient and
    stays dead; so units that are chosen far less often than the average have their magnitudes raised, in the
    choice alone, until they are chosen again. (Adjusting the choice instead of adding a loss is the balancing
    of Wang et al. 2024, "Auxiliary-loss-free load balancing", there for experts.)
    """

    unit_columns = True
    memory, pace, rare, most = 0.99, 0.01, 0.1, 5.0

    usage: Tensor
    boost: Tensor

    def __init__(self, settings: axes.TopK, geometry: Geometry) -> None:
        super().__init__()
        self.k = settings.k
        # Buffers, so that they are saved and resumed: how often each unit was chosen lately, relative to the
        # average, and the log of the factor on its magnitude.
        self.register_buffer("usage", torch.ones(geometry.channels))
        self.register_buffer("boost", torch.zeros(geometry.channels))

    @classmethod
    def build(cls, settings: axes.TopK, recipe: Recipe, channels: int) -> Bottleneck:  # noqa: ARG003
        return cls(settings, recipe.geometry)

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        size = h.detach().abs() * self.boost.exp().view(1, -1, *(1,) * (h.ndim - 2))
        largest = size.topk(self.k, dim=1).indices
        mask = torch.zeros_like(h).scatter(1, largest, 1.0)
        if self.training and sample:
            self._follow(mask)
        return Latent(h * mask)

    def project(self, values: Tensor) -> Tensor:
        largest = values.abs().topk(min(self.k, values.shape[1]), dim=1).indices
        return values * torch.zeros_like(values).scatter(1, largest, 1.0)

    @torch.no_grad()
    def _follow(self, mask: Tensor) -> None:
        chosen = over_batch(mask.mean((0, *range(2, mask.ndim)))) * (mask.shape[1] / self.k)
        self.usage = self.memory * self.usage + (1 - self.memory) * chosen
        step = torch.where(self.usage < self.rare, self.pace, -self.pace)
        self.boost = (self.boost + step).clamp(0, self.most)


class L0Bottleneck(Bottleneck):
    """Expected number of non-zeros through hard-concrete gates (Louizos et al. 2018, eq. 10–12).

    The encoder gives a value and a gate logit per unit. A gate is a stretched, clipped binary concrete
    variable, exactly 0 or 1 most of the time; its chance of not being 0 is differentiable. With `active` the
    price of a unit is adjusted in each step until the expected count is the requested one: it is the
    multiplier of the constraint, grows with the excess, and becomes negative to open gates again when too
    many have closed.
    """

    penalty_name = "l0"
    unit_columns = True
    expansion = 2
    temperature, low, high = 2 / 3, -0.1, 1.1  # β, γ, ζ of the paper
    pace, damping, least, most = 0.005, 1.0, -5.0, 100.0  # of the multiplier

    price: Tensor

    def __init__(self, settings: axes.L0) -> None:
        super().__init__()
        self.weight, self.warmup, self.active = settings.weight, settings.warmup, settings.active
        # What a unit costs relative to `weight`; a buffer, so that it is saved and resumed.
        self.register_buffer("price", torch.zeros(()))

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:
        value, logit = h.chunk(2, 1)
        logit = logit + 1.0  # gates start mostly open, or nothing is learned before they close
        if sample:
            u = torch.rand(logit.shape, generator=generator, device=logit.device).clamp(1e-6, 1 - 1e-6)
            soft = ((u.log() - (1 - u).log() + logit) / self.temperature).sigmoid()
        else:
            soft = logit.sigmoid()
        gate = (soft * (self.high - self.low) + self.low).clamp(0, 1)
        return Latent(value * gate, {"gate_logit": logit})

    def expected(self, code: Latent) -> Tensor:
        """`(N,)`: units whose gate is expected not to be 0."""
        logit = code.parts["gate_logit"].flatten(1)
        return (logit - self.temperature * math.log(-self.low / self.high)).sigmoid().sum(1)

    def penalty(self, trace: Trace) -> Tensor:
        expected = self.expected(trace.code)
        if self.active is None:
            return expected
        excess = (over_batch(expected.detach().mean()) / self.active - 1).clamp(-1, 2)
        if not self.training:  # validations are compared: too many units cost the most, always the same
            return expected * excess.clamp_min(0) * self.most
        self.price = (self.price + self.pace * excess).clamp(self.least, self.most)
        return expected * (self.price + self.damping * excess)
