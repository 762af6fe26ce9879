"""Small pieces cut at random places of a set of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.errors import UsageError
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet


def random_pieces(images: ImageSet, side: int, count: int, *, seed: int = 0) -> npt.NDArray[np.float32]:
    """`(count, C, side, side)` float32 in [0, 1], at places drawn uniformly in images drawn uniformly.

    An image smaller than a piece is extended by its last row and column.

    Raises:
        UsageError: `side` or `count` below 1.
    """
    if side < 1 or count < 1:
        raise UsageError(
            "pieces need a side and a number of at least 1, not {side} and {count}",
            id="data.pieces",
            side=side,
            count=count,
        )
    random = np.random.default_rng(seed)
    chosen = np.sort(random.integers(len(images), size=count))  # disks read forwards best
    where = random.random((count, 2))
    found = np.empty((count, side, side, images.channels), dtype=np.float32)
    for row, index in enumerate(chosen):
        image = images.image(int(index))
        free_h, free_w = image.shape[0] - side, image.shape[1] - side
        top, left = int(where[row, 0] * (max(free_h, 0) + 1)), int(where[row, 1] * (max(free_w, 0) + 1))
        part = to_dtype(image[top : top + side, left : left + side], np.float32)
        if min(free_h, free_w) < 0:
            part = np.pad(part, ((0, max(0, -free_h)), (0, max(0, -free_w)), (0, 0)), mode="edge")
        found[row] = part
    return np.ascontiguousarray(found.transpose(0, 3, 1, 2))
