"""Plain codes, codes with a penalty on their norm, and contractive codes.

The contractive penalty is ‖∂code/∂input‖²_F, so that the code resists small changes of the image (Rifai et
al. 2011). Their decoder shares its weights with the encoder. Here it does not, and a small code with large
decoder weights would avoid the penalty, so it is divided by the variance of the code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck, variance_over_batch
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace


class PlainBottleneck(Bottleneck):
    """The features are the code, rectified or not."""

    def __init__(self, settings: axes.Plain | axes.L2) -> None:
        super().__init__()
        self.rectified = settings.rectified

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        return Latent(h.relu() if self.rectified else h)

    def project(self, values: Tensor) -> Tensor:
        return values.clamp_min(0) if self.rectified else values


class L2Bottleneck(PlainBottleneck):
    """λ‖z‖² (ridge on the code)."""

    penalty_name = "code_l2"

    def __init__(self, settings: axes.L2) -> None:
        super().__init__(settings)
        self.weight, self.warmup = settings.weight, settings.warmup

    def penalty(self, trace: Trace) -> Tensor:
        return trace.code.values.flatten(1).square().sum(1)


class L1Bottleneck(Bottleneck):
    """λ‖z‖₁ on rectified codes: small activations are exactly zero (Olshausen and Field 1996; Ng 2011)."""

    penalty_name = "code_l1"
    unit_columns = True

    def __init__(self, settings: axes.L1) -> None:
        super().__init__()
        self.weight, self.warmup = settings.weight, settings.warmup

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        return Latent(h.relu())

    def project(self, values: Tensor) -> Tensor:
        return values.clamp_min(0)

    def penalty(self, trace: Trace) -> Tensor:
        return trace.code.values.flatten(1).abs().sum(1)


class ContractiveBottleneck(Bottleneck):
    """‖J‖² over the variance of the code; ‖J‖² exact for one sigmoid layer, else estimated by random probes.

    One dense layer, `z = σ(Wx + b)`: `‖J‖² = Σⱼ (zⱼ(1 − zⱼ))² ‖Wⱼ‖²` (Rifai et al. 2011, eq. 5).
    Any other encoder: `‖J‖² = E‖Jᵀv‖²` over `v ~ N(0, I)`, one backward pass a probe (Hutchinson 1990).
    """

    penalty_name = "contractive"

    def __init__(self, settings: axes.Contractive, backbone: axes.Backbone) -> None:
        super().__init__()
        self.weight, self.warmup, self.probes = settings.weight, settings.warmup, settings.probes
        dense_sigmoid = isinstance(backbone, axes.Dense) and backbone.activation == "sigmoid"
        self.sigmoid = dense_sigmoid
        self.exact = isinstance(backbone, axes.Dense) and dense_sigmoid and not backbone.width
        self.wants_jacobian = not self.exact

    @classmethod
    def build(cls, settings: axes.Contractive, recipe: Recipe, channels: int) -> Bottleneck:  # noqa: ARG003
        return cls(settings, recipe.backbone)

    def forward(self, h: Tensor, generator: torch.Generator, sample: bool) -> Latent:  # noqa: ARG002
        return Latent(h.sigmoid() if self.sigmoid else h)

    def penalty(self, trace: Trace) -> Tensor:
        """‖J‖² of each image, over the mean variance of a unit (over the batch, and positions of a grid)."""
        z = trace.code.values
        rows = z.flatten(2).movedim(1, 2).flatten(0, 1) if z.ndim > 2 else z  # (n, units)
        norm = self.squared_norm(trace)
        variance = variance_over_batch(rows)
        return norm if variance is None else norm / variance.mean().clamp_min(1e-12)

    def squared_norm(self, trace: Trace) -> Tensor:
        """`(N,)`: ‖∂code/∂input‖²_F."""
        return self.closed_form(trace) if self.exact else self.estimate(trace)

    def closed_form(self, trace: Trace) -> Tensor:
        z = trace.code.values
        layer = trace.model.encoder.get_submodule("last")
        assert isinstance(layer, torch.nn.Linear)
        slope = (z * (1 - z)).square()  # (N, C)
        # Behind the image's own columns stand those of a condition map, which is not differentiated by.
        columns = layer.weight.float()[:, : trace.pixels]
        return slope @ columns.square().sum(1)

    def estimate(self, trace: Trace) -> Tensor:
        z, x = trace.code.values, trace.corrupted.input
        total = torch.zeros(x.shape[0], device=x.device)
        for _ in range(self.probes):
            v = torch.randn(z.shape, generator=trace.generator, device=z.device)
            (pulled,) = torch.autograd.grad(z, x, v, create_graph=torch.is_grad_enabled(), retain_graph=True)
            total = total + pulled.flatten(1).square().sum(1)
        return total / self.probes
