"""A code as users hold it: the numbers, their geometry, and the image size they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from isthmus.images.array_format import Kind
from isthmus.model.geometry import Geometry


@dataclass(frozen=True)
class Code:
    """What `Autoencoder.encode` returns and `decode` takes.

    Attributes:
        values: `(N, C)` or `(N, C, h, w)`, float32; NumPy for NumPy images, torch for torch images.
        geometry: shape of the code.
        size: `(H, W)` of the images; `decode` gives exactly this size back.
        kind: the kind of the images (array type, number of axes, dtype); `decode` gives the same kind back.
    """

    values: np.ndarray | Tensor
    geometry: Geometry
    size: tuple[int, int]
    kind: Kind

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.values.detach().cpu().numpy() if isinstance(self.values, Tensor) else self.values
        return np.array(array, dtype=dtype, copy=copy)

    def with_values(self, values: np.ndarray | Tensor) -> Code:
        """Other numbers for images of the same kind and size, such as a mean of two codes."""
        return replace(self, values=values)

    def flat(self) -> np.ndarray:
        """`(N, numbers)` NumPy, whatever the geometry."""
        array = np.asarray(self)
        return array.reshape(len(array), -1)
