"""The canvas: the one image size that a model with a vector code works at."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from isthmus.model.geometry import Geometry
from isthmus.model.tensors import resize_images


@dataclass(frozen=True)
class Canvas:
    """Takes images onto the canvas and back. A grid code has none: its images stay as they are.

    Attributes:
        size: `(H, W)`; with a grid code only a usual size of images.
        geometry: of the code.
    """

    size: tuple[int, int]
    geometry: Geometry

    def fit(self, images: Tensor) -> Tensor:
        """`(N, C, h, w)` resized to the canvas; unchanged for a grid code."""
        return images if self.geometry.is_grid else resize_images(images, self.size)

    def restore(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        """`(N, C, h, w)` resized back to the images' own size, in [0, 1]."""
        return images if images.shape[-2:] == size else resize_images(images, size).clamp(0, 1)

    def size_inside(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size that images of `size` have on the canvas."""
        return size if self.geometry.is_grid else self.size

    def size_of_code(self, values: Tensor) -> tuple[int, int]:
        """The size of images whose code has these values, `(N, C)` or `(N, C, h, w)`."""
        stride = self.geometry.stride
        if stride is None or values.ndim != 4:
            return self.size
        return values.shape[-2] * stride, values.shape[-1] * stride
