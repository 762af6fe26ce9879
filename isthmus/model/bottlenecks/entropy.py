"""Integer codes whose rate is learned: what a codec writes to a file (Ballé et al. 2018)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck
from isthmus.model.geometry import Geometry
from isthmus.model.trace import Latent, Trace

COMPONENTS = 3


class EntropyBottleneck(Bottleneck):
    """Values are rounded. The penalty is the rate in nats per image.

    In training the decoder sees them rounded (straight through), and the rate is that of values with uniform
    noise, under a mixture of logistics per channel.

    `P(k) = F(k + ½) − F(k − ½)` with F the mixture's distribution function (Ballé et al. 2018, eq. 7 and 24;
    the mixture in place of their cumulative network is Salimans et al. 2017, eq. 2).
    """

    penalty_name = "rate"
    discrete = True

    def __init__(self, settings: axes.Entropy, geometry: Geometry) -> None:
        super().__init__()
        self.weight, self.warmup = settings.weight, settings.warmup
        spread = torch.linspace(-2, 2, COMPONENTS).repeat(geometry.channels, 1)
        self.mean = nn.Parameter(spread)
        self.log_scale = nn.Parameter(torch.ones(geometry.channels, COMPONENTS))
        self.logit = nn.Parameter(torch.zeros(geometry.channels, COMPONENTS))

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:
        rounded = h.round().detach() + (h - h.detach())  # in this order the sum is exactly the integer
        if not sample:
            return Latent(rounded, {"rated": rounded})
        noise = torch.rand(h.shape, generator=generator, device=h.device) - 0.5
        return Latent(rounded, {"rated": h + noise})

    def penalty(self, trace: Trace) -> Tensor:
        return self.nats(trace.code.parts["rated"]).flatten(1).sum(1)

    def nats(self, values: Tensor) -> Tensor:
        """−log P of each value, same shape as `values (N, C, …)`."""
        view = (1, -1, *(1,) * (values.ndim - 2), COMPONENTS)
        x = values[..., None] - self.mean.view(view)
        inverse = (-self.log_scale.clamp(-7, 7)).exp().view(view)
        # F(a) − F(b) is taken on the side of the median where both are small, which keeps its digits.
        side = torch.where(x > 0, -1.0, 1.0)
        upper, lower = side * (x + 0.5) * inverse, side * (x - 0.5) * inverse
        mass = (upper.sigmoid() - lower.sigmoid()).abs()
        probability = (mass * self.logit.softmax(-1).view(view)).sum(-1)
        return -probability.clamp_min(1e-9).log()
