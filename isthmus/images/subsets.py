"""A part of a set that stands for the whole of it."""

from __future__ import annotations

import numpy as np

from isthmus.images.store import ImageSet


def sample_evenly(images: ImageSet, most: int | None) -> ImageSet:
    """At most `most` images, evenly spaced, so that a set ordered by class keeps all of them."""
    if most is None or most >= len(images):
        return images
    return images.subset(np.linspace(0, len(images) - 1, most).round().astype(np.int64))
