"""How bright the parts of a picture are: a coarse map that needs no network.

Dark or bright areas that are too large for a network to see as a whole are found by comparing the mean of
each block with what good pictures have at the same place (`PositionStatistics`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError

BLOCKS = 40  # per side; smaller pictures have a block for each pixel

Map = npt.NDArray[np.float32]


def level_map(picture: npt.NDArray[np.float32]) -> Map:
    """Mean brightness of 40×40 blocks, whatever the picture's size.

    Args:
        picture: `(H, W, C)` float32 in [0, 1].

    Returns:
        `(min(40, H), min(40, W))` float32 in [0, 1]: means over the block and the channels.

    Raises:
        DataError: a picture without pixels, or of other axes.

    Examples:
        >>> level_map(np.full((300, 200, 3), 0.5, np.float32)).shape
        (40, 40)
    """
    if picture.ndim != 3 or 0 in picture.shape:
        raise DataError(
            "a picture of shape {shape} has no blocks: expected (H, W, C)",
            id="segmentation.level-shape",
            shape=picture.shape,
        )
    gray = picture.mean(2, dtype=np.float64)
    rows, columns = (_starts(side) for side in gray.shape)
    sums = np.add.reduceat(np.add.reduceat(gray, rows, 0), columns, 1)
    counts = np.diff([*rows, gray.shape[0]])[:, None] * np.diff([*columns, gray.shape[1]])[None]
    return np.asarray(sums / counts, np.float32)


def _starts(side: int) -> npt.NDArray[np.int64]:
    """First rows (or columns) of the blocks, which differ by a pixel at most."""
    count = min(BLOCKS, side)
    return np.arange(count, dtype=np.int64) * side // count
