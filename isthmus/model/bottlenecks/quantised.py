"""Discrete codes: scalars rounded to levels, or vectors replaced by their nearest codebook entry."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.geometry import Geometry
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace


class QuantisedBottleneck(Bottleneck):
    """Either of the two, as the settings say."""

    @classmethod
    def build(cls, settings: axes.Quantised, recipe: Recipe, channels: int) -> Bottleneck:  # noqa: ARG003
        if settings.method == "fsq":
            return FSQBottleneck(settings)
        return VQBottleneck(settings, recipe.geometry)


class FSQBottleneck(QuantisedBottleneck):
    """Each number is squashed to a range and rounded to one of L levels (Mentzer et al. 2023, §3.1).

    Gradients pass the rounding straight through. Values are evenly spaced in [−1, 1].
    """

    def __init__(self, settings: axes.Quantised) -> None:
        super().__init__()
        self.levels = settings.levels

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        steps = (self.levels - 1) / 2
        # An even number of levels has no level at zero: levels then lie at the half-steps.
        shift = 0.5 if self.levels % 2 == 0 else 0.0
        bounded = h.tanh() * (steps + 0.499)
        rounded = ((bounded - shift).round() + shift).clamp(-steps, steps)
        # In this order the sum is exactly the level.
        return Latent((rounded.detach() + (bounded - bounded.detach())) / steps)


class VQBottleneck(QuantisedBottleneck):
    """Each sub-vector becomes its nearest codebook entry (van den Oord et al. 2017, eq. 3).

    The penalty is the codebook loss plus `commitment` times the commitment loss, summed over the code.
    """

    penalty_name = "vq"
    weight = 1.0

    def __init__(self, settings: axes.Quantised, geometry: Geometry) -> None:
        super().__init__()
        vector_groups = geometry.channels // 4 if geometry.channels % 4 == 0 else geometry.channels
        self.groups = settings.groups or (1 if geometry.is_grid else vector_groups)
        self.commitment = settings.commitment
        size = geometry.channels // self.groups
        self.codebook = nn.Parameter(torch.randn(self.groups, settings.entries, size) * 0.5)

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        positions = h.flatten(2) if h.ndim > 2 else h[..., None]  # (N, C, P)
        n, channels, p = positions.shape
        x = positions.view(n, self.groups, channels // self.groups, p).permute(1, 0, 3, 2)  # (G, N, P, c)
        x = x.reshape(self.groups, n * p, -1)
        nearest = torch.cdist(x.detach(), self.codebook.detach()).argmin(-1)  # (G, N·P)
        entries = self.codebook.gather(1, nearest[..., None].expand(-1, -1, x.shape[-1]))

        def back(y: Tensor) -> Tensor:
            return y.view(self.groups, n, p, -1).permute(1, 0, 3, 2).reshape(h.shape)

        entries = back(entries)
        # In this order the sum is exactly the entry.
        values = entries.detach() + (h - h.detach())
        return Latent(values, {"features": h, "entries": entries, "index": nearest})

    def penalty(self, trace: Trace) -> Tensor:
        h, entries = trace.code.parts["features"], trace.code.parts["entries"]
        codebook = F.mse_loss(entries, h.detach(), reduction="none")
        commitment = F.mse_loss(h, entries.detach(), reduction="none")
        return (codebook + self.commitment * commitment).flatten(1).sum(1)
