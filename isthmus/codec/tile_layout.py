"""Where the steps of tiles are while their symbols are coded: in columns, and on a canvas with borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from isthmus.codec.coder import Ints
from isthmus.codec.tables import CROSS, TAPS

Where = npt.NDArray[np.intp]
_Sample = TypeVar("_Sample", bound=np.generic)

Size = tuple[int, int]
Halves = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class TileLayout:
    """Columns are the steps of all tiles in the order of coding: the first halves of their checkerboards (row
    + column even), tile by tile and row by row, then the second. On the canvas tiles lie below one another,
    each with a border of one step around it that is shared with the next; places there are flat.

    Attributes:
        sizes: of the tiles.
        halves: the columns of each half.
        parts: by half and tile, which columns of that half are the tile's.
        order: by half and tile, where the tile's steps are in the tile, flat.
        padded: size of the canvas.
        inner: (columns,) each on the canvas.
        around: (9, columns) their neighbourhoods there.
        cross: (4, columns of the second half) up, left, right and down of each.
        odd: (columns of the second half,) each on the canvas without its outer border.
    """

    sizes: tuple[Size, ...]
    halves: Halves
    parts: tuple[tuple[slice, ...], tuple[slice, ...]]
    order: tuple[tuple[Where, ...], tuple[Where, ...]]
    padded: Size
    inner: Where
    around: Where
    cross: Where
    odd: Where

    @property
    def count(self) -> int:
        return len(self.inner)

    def columns(self, tiles: Sequence[npt.NDArray[_Sample]]) -> npt.NDArray[_Sample]:
        """Symbols of tiles (C, h, w) → (C, columns)."""
        flat = [tile.reshape(len(tile), -1) for tile in tiles]
        return np.concatenate(
            [tile[:, steps] for half in self.order for tile, steps in zip(flat, half, strict=True)], axis=1
        )

    def tiles(self, columns: Ints) -> list[Ints]:
        """The inverse of `columns`."""
        tiles = []
        for tile, size in enumerate(self.sizes):
            flat = np.empty((len(columns), size[0] * size[1]), np.int32)
            for half in range(2):
                flat[:, self.order[half][tile]] = columns[:, self.halves[half]][:, self.parts[half][tile]]
            tiles.append(flat.reshape(-1, *size))
        return tiles


@lru_cache(maxsize=8)
def build_tile_layout(sizes: tuple[Size, ...]) -> TileLayout:
    """The places of tiles of these sizes."""
    width = max(w for _, w in sizes) + 2
    tops = np.cumsum([1] + [h + 1 for h, _ in sizes])
    order: tuple[list[Where], list[Where]] = ([], [])
    inner: tuple[list[Where], list[Where]] = ([], [])
    for (h, w), top in zip(sizes, tops[:-1], strict=True):
        rows, columns = np.divmod(np.arange(h * w), w)
        for half in range(2):
            mine = np.flatnonzero((rows + columns) % 2 == half)
            order[half].append(mine)
            inner[half].append((top + rows[mine]) * width + columns[mine] + 1)
    both = np.concatenate(inner[0] + inner[1])
    first = sum(len(steps) for steps in order[0])
    down, right = np.divmod(np.arange(TAPS), 3)
    around = both + ((down - 1) * width + right - 1)[:, None]
    row, column = np.divmod(both[first:], width)
    return TileLayout(
        sizes,
        (slice(0, first), slice(first, len(both))),
        (_parts(order[0]), _parts(order[1])),
        (tuple(order[0]), tuple(order[1])),
        (int(tops[-1]), width),
        both,
        around,
        around[list(CROSS), first:],
        (row - 1) * (width - 2) + column - 1,
    )


def _parts(steps: list[Where]) -> tuple[slice, ...]:
    ends = np.cumsum([len(positions) for positions in steps]).tolist()
    return tuple(slice(end - len(positions), end) for positions, end in zip(steps, ends, strict=True))
