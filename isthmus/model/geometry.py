"""The shape of a code: `64` is a vector of 64 numbers, `32@8` a grid of 32 channels at 1/8 of the size.

A grid has as many axes as the images: two, or three for volumes. Which backbones have networks for three is
their own fact, `image_axes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

from isthmus.errors import UsageError


@dataclass(frozen=True)
class Geometry:
    """Channels of a code and, for a grid, how many pixels one step of it covers along every axis.

    A vector code (`stride` None) needs one canvas size; a grid code takes any size.

    Attributes:
        channels: numbers at each place of the code.
        stride: pixels per step of the grid, None for a vector.
        axes: 2 for images (H, W), 3 for volumes (D, H, W).
    """

    channels: int
    stride: int | None = None
    axes: int = 2

    @classmethod
    def parse(cls, text: str, *, axes: int = 2) -> Geometry:
        """Read `64` or `32@8`.

        Args:
            text: the code's shape.
            axes: of the images, 2 or 3.

        Raises:
            UsageError: not of that form, the stride is not a power of two, or another number of axes.
        """
        if axes not in (2, 3):
            raise UsageError(
                "images have two axes and volumes three, not {axes}", id="recipe.image-axes", axes=axes
            )
        match = re.fullmatch(r"\s*(\d{1,6})\s*(?:@\s*(\d{1,3}))?\s*", text)
        if match is None or int(match[1]) < 1:
            raise UsageError(
                "code '{text}' is not a code shape: write 64 for a vector or 32@8 for a grid at 1/8",
                id="recipe.code",
                text=text,
            )
        stride = int(match[2]) if match[2] else None
        if stride is not None and (stride < 1 or stride & (stride - 1) or stride > 64):
            raise UsageError(
                "code '{text}': the stride after @ is a power of two from 1 to 64",
                id="recipe.code-stride",
                text=text,
            )
        return cls(int(match[1]), stride, axes)

    @property
    def is_grid(self) -> bool:
        return self.stride is not None

    def shape(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one image's code: `(channels,)`, or `(channels, rows, columns)` for an image of `size`.

        Raises:
            UsageError: a grid's `size` has another number of axes.
        """
        if self.stride is None:
            return (self.channels,)
        if len(size) != self.axes:
            raise UsageError(
                "a code of {axes} axes is for images of as many, not of size {size}",
                id="recipe.code-axes",
                axes=self.axes,
                size=size,
            )
        return (self.channels, *(-(-side // self.stride) for side in size))

    def numbers(self, size: tuple[int, ...]) -> int:
        """How many numbers the code of one image of `size` holds."""
        return prod(self.shape(size))

    def __str__(self) -> str:
        return str(self.channels) if self.stride is None else f"{self.channels}@{self.stride}"
