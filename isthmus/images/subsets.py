"""A part of a set that stands for the whole of it."""

from __future__ import annotations

import numpy as np

from isthmus.images.store import ImageSet, Indices


def even_rows(total: int, count: int, *, round_down: bool = False) -> Indices:
    """`min(total, count)` row numbers at equal distances, so that a set ordered by class keeps all of them.

    Args:
        round_down: instead of to the nearest row.

    >>> even_rows(10, 4).tolist()
    [0, 3, 6, 9]
    """
    rows = np.linspace(0, total - 1, min(total, count))
    return (rows if round_down else rows.round()).astype(np.int64)


def sample_evenly(images: ImageSet, most: int | None) -> ImageSet:
    """At most `most` images, evenly spaced, so that a set ordered by class keeps all of them."""
    if most is None or most >= len(images):
        return images
    return images.subset(even_rows(len(images), most))
