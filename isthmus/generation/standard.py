"""The standard normal: the prior that variational and adversarial models are trained towards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from isthmus.generation.prior import STEPS


class StandardNormal:
    """Codes are the noise itself."""

    kind = "normal"
    classes: tuple[str, ...] = ()

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return torch.zeros(count, dtype=torch.int64)

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:  # noqa: ARG002
        return torch.zeros(len(codes), dtype=torch.int64)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return noise

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return codes

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"kind": self.kind}
