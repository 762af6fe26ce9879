"""Numbers per image, gathered batch by batch, and their means."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Numbers = npt.NDArray[np.float64]


class Scores:
    """Collects per-image numbers batch by batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, scores: dict[str, Tensor]) -> None:
        for name, values in scores.items():
            self._parts.setdefault(name, []).append(values.detach().double().cpu())

    def per_image(self) -> dict[str, Numbers]:
        """`(N,)` each, in the order in which they were added."""
        return {name: torch.cat(parts).numpy() for name, parts in self._parts.items()}

    def means(self) -> dict[str, float]:
        """The mean over images of each."""
        return {name: float(values.mean()) for name, values in self.per_image().items()}
