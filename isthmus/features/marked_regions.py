"""From a map to marked regions: a mask, and boxes around its connected parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.features.picture_maps import enlarge_map

Box = tuple[int, int, int, int]
MAX_BOXES = 100  # of one picture, the largest first
PEAK_SHARE = 0.5  # between the map's median and its peak, above which a place is marked where none is unusual


def mark_pixels(
    heat: npt.NDArray[Any],
    shape: tuple[int, ...],
    threshold: float,
    ignored: npt.NDArray[np.bool_] | None,
) -> npt.NDArray[np.bool_]:
    """`(H, W)` bool: where the map of a flagged picture lies above its threshold.

    A picture may be flagged for its score as a whole while no place reaches the threshold of the map; then
    its highest places are marked. A map of one value has no places: nothing is marked.

    Args:
        heat: `(h, w)`, at any resolution.
        shape: of the picture.
        threshold: of the map.
        ignored: `(H, W)`, pixels that are never marked.
    """
    if heat.size == 1:
        return np.zeros(shape[:2], dtype=bool)
    full = enlarge_map(heat, shape)
    counted = full if ignored is None or ignored.all() else full[~ignored]
    highest = float(counted.max())
    if not highest > threshold:
        middle = float(np.median(counted))
        threshold = middle + PEAK_SHARE * (highest - middle)
    marked: npt.NDArray[np.bool_] = full > threshold
    if ignored is not None:
        marked &= ~ignored
    return marked


def find_boxes(marked: npt.NDArray[np.bool_]) -> tuple[Box, ...]:
    """(top, left, height, width) of each connected part, the largest first; corners connect."""
    from scipy import ndimage

    labels, _ = ndimage.label(marked, np.ones((3, 3)))
    boxes = [
        (rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        for rows, columns in ndimage.find_objects(labels)
    ]
    return tuple(sorted(boxes, key=lambda box: (-box[2] * box[3], box)))[:MAX_BOXES]
