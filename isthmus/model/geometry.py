"""The shape of a code: `64` is a vector of 64 numbers, `32@8` a grid of 32 channels at 1/8 of the size."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isthmus.errors import UsageError


@dataclass(frozen=True)
class Geometry:
    """Channels of a code and, for a grid, how many pixels one step of it covers.

    A vector code (`stride` None) needs one canvas size; a grid code takes any size.
    """

    channels: int
    stride: int | None = None

    @classmethod
    def parse(cls, text: str) -> Geometry:
        """Read `64` or `32@8`.

        Raises:
            UsageError: not of that form, or the stride is not a power of two.
        """
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
        return cls(int(match[1]), stride)

    @property
    def is_grid(self) -> bool:
        return self.stride is not None

    def shape(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Shape of one image's code: `(channels,)`, or `(channels, rows, columns)` for an image of `size`."""
        if self.stride is None:
            return (self.channels,)
        return (self.channels, -(-size[0] // self.stride), -(-size[1] // self.stride))

    def numbers(self, size: tuple[int, int]) -> int:
        """How many numbers the code of one image of `size` holds."""
        product = 1
        for extent in self.shape(size):
            product *= extent
        return product

    def __str__(self) -> str:
        return str(self.channels) if self.stride is None else f"{self.channels}@{self.stride}"
