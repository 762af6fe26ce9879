"""Plain codes, and codes that pay for their norm."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.model import axes
from isthmus.model.bottlenecks.interface import Bottleneck
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
