"""A part of a set that stands for the whole of it."""

from __future__ import annotations

import numpy as np

from isthmus.images.store import ImageSet, Indices


def even_rows(total: int, count: int) -> Indices:
    """`min(total, count)` row numbers at equal distances, so that a set ordered by class keeps all of them.

    >>> even_rows(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.linspace(0, total - 1, min(total, count)).round().astype(np.int64)


def sample_evenly(images: ImageSet, most: int | None) -> ImageSet:
    """At most `most` images, evenly spaced, so that a set ordered by class keeps all of them."""
    if most is None or most >= len(images):
        return images
    return images.subset(even_rows(len(images), most))
