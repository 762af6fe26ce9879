"""Where tiles and blocks lie: rectangles in steps of the code's grid, and the pixels that belong to them.

A tile is coded on its own. A block is what the network processes at once: several tiles and a margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from isthmus.codec.container import CompressedFileError, ContainerHeader

TILE_SIDE_PX = 512
MAX_TILE_STEPS = 64  # along a tile's side: what decoding one tile takes in memory is bounded by it
BLOCK_SIDE_TILES = (
    3  # tiles along the side of a block: few enough for little memory, many enough for little margin
)


@dataclass(frozen=True)
class Rectangle:
    """Rows top … bottom − 1 and columns left … right − 1, of whatever is counted."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def of_region(cls, region: tuple[int, int, int, int]) -> Rectangle:
        """From (top, left, height, width)."""
        top, left, height, width = region
        return cls(top, left, top + height, left + width)

    @property
    def size(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def meet(self, other: Rectangle) -> Rectangle:
        """What both cover; empty rectangles have no rows or no columns."""
        return Rectangle(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def wider(self, by: int) -> Rectangle:
        return Rectangle(self.top - by, self.left - by, self.bottom + by, self.right + by)

    def times(self, factor: int) -> Rectangle:
        return Rectangle(*(side * factor for side in (self.top, self.left, self.bottom, self.right)))

    def moved(self, down: int, right: int) -> Rectangle:
        return Rectangle(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def __bool__(self) -> bool:
        return self.top < self.bottom and self.left < self.right


@dataclass(frozen=True)
class Grid:
    """The tiles of a picture of `size` (height, width) pixels.

    Attributes:
        stride: pixels per step of the code.
        steps: side of a tile in steps.
    """

    size: tuple[int, int]
    stride: int
    steps: int

    @classmethod
    def of(cls, header: ContainerHeader, stride: int) -> Grid:
        """Raises:
        CompressedFileError: the file's tiles do not fit a code of this stride.
        """
        if header.tile % stride or header.tile // stride > MAX_TILE_STEPS:
            wide = f"{stride} pixels a step"
            raise CompressedFileError(
                "damaged: tiles of {tile} pixels do not fit its model, {model_tile}",
                id="compressed-file.tile-size-of-model",
                tile=header.tile,
                model_tile=wide,
            )
        return cls(header.size, stride, header.tile // stride)

    @property
    def pixels(self) -> Rectangle:
        return Rectangle(0, 0, *self.size)

    @property
    def all(self) -> Rectangle:
        """The whole code, in steps."""
        return Rectangle(0, 0, -(-self.size[0] // self.stride), -(-self.size[1] // self.stride))

    @property
    def columns(self) -> int:
        return -(-self.all.right // self.steps)

    @property
    def count(self) -> int:
        return self.columns * -(-self.all.bottom // self.steps)

    def tile(self, number: int) -> Rectangle:
        """Tile `number`, in steps."""
        row, column = divmod(number, self.columns)
        top, left = row * self.steps, column * self.steps
        return Rectangle(top, left, top + self.steps, left + self.steps).meet(self.all)

    def tiles_in(self, steps: Rectangle) -> list[int]:
        """Numbers of the tiles that a rectangle of steps touches, ascending."""
        if not steps:
            return []
        rows = range(steps.top // self.steps, -(-steps.bottom // self.steps))
        columns = range(steps.left // self.steps, -(-steps.right // self.steps))
        return [row * self.columns + column for row in rows for column in columns]

    def to_pixels(self, steps: Rectangle) -> Rectangle:
        """The pixels under a rectangle of steps."""
        return steps.times(self.stride).meet(self.pixels)

    def to_steps(self, pixels: Rectangle) -> Rectangle:
        """The least rectangle of steps that covers these pixels."""
        s = self.stride
        return Rectangle(
            pixels.top // s, pixels.left // s, -(-pixels.bottom // s), -(-pixels.right // s)
        ).meet(self.all)

    def blocks(self, steps: Rectangle, tiles: int = BLOCK_SIDE_TILES) -> Iterator[Rectangle]:
        """Blocks of `tiles` × `tiles`, in steps, that cover the tiles which `steps` touches; row by row."""
        side = self.steps * tiles
        for top in range(steps.top // self.steps * self.steps, steps.bottom, side):
            for left in range(steps.left // self.steps * self.steps, steps.right, side):
                yield Rectangle(top, left, top + side, left + side).meet(self.all)


def tile_side(stride: int) -> int:
    """Pixels along a tile's side for a code of this stride."""
    return min(TILE_SIDE_PX, MAX_TILE_STEPS * stride)
