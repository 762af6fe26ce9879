"""The best linear map from patches of one image to a pixel of another: what a transformation has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError

SIDE_PX = 9
RIDGE = 1e-6  # of the mean variance: what keeps equal columns of patches from dividing by zero


class PatchMap:
    """`target(x) ≈ weight · patch(x) + bias`, by least squares over all pixels.

    Borders are reflected, as far as images are larger than half a patch.

    Args:
        side: of the patches, odd.
    """

    def __init__(self, side: int = SIDE_PX) -> None:
        self.side = side
        self.weight: Tensor | None = None  # (T, C, side, side)
        self.bias: Tensor | None = None  # (T,)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Fit to pairs `(N, C, H, W)`, `(N, T, H, W)` of floats in [0, 1].

        Raises:
            DataError: there are none.
        """
        inner: Tensor | None = None
        outer: Tensor | None = None
        for images, targets in batches:
            patches = self._patches(images).double()  # (n, C·side², H·W)
            ones = torch.ones_like(patches[:, :1])
            rows = torch.cat([patches, ones], 1).movedim(1, 0).flatten(1)
            outputs = targets.double().movedim(1, 0).flatten(1)
            inner = rows @ rows.T if inner is None else inner + rows @ rows.T
            outer = rows @ outputs.T if outer is None else outer + rows @ outputs.T
            channels = images.shape[1]
        if inner is None or outer is None:
            raise DataError("no pairs to fit the linear map to", id="metric.linear-map-no-pairs")
        ridge = RIDGE * inner.diagonal()[:-1].mean() * torch.eye(len(inner), dtype=inner.dtype)
        ridge[-1, -1] = 0
        solution = torch.linalg.solve(inner + ridge, outer).float()
        self.weight = solution[:-1].T.reshape(-1, channels, self.side, self.side).contiguous()
        self.bias = solution[-1].contiguous()
        return self

    def apply(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, T, H, W)`, clipped to [0, 1].

        Raises:
            DataError: the map is not fitted.
        """
        if self.weight is None or self.bias is None:
            raise DataError("the linear map is not fitted", id="metric.linear-map-not-fitted")
        padded = self._padded(images)
        return F.conv2d(padded, self.weight.to(images), self.bias.to(images)).clamp(0, 1)

    def _patches(self, images: Tensor) -> Tensor:
        return F.unfold(self._padded(images), self.side)

    def _padded(self, images: Tensor) -> Tensor:
        edge = self.side // 2
        mode = "reflect" if min(images.shape[-2:]) > edge else "replicate"
        return F.pad(images, (edge,) * 4, mode=mode)
