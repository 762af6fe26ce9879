"""K-fold cross-validation by content: copies of one image stay in one fold, in any order of the images."""

from __future__ import annotations

import numpy as np

from isthmus.errors import DataError
from isthmus.images.store import ImageSet, Indices
from isthmus.wording import format_count


def folds(images: ImageSet, count: int, *, seed: int = 0) -> list[tuple[Indices, Indices]]:
    """`count` pairs (train, test) of ascending indices; every image is in one test part.

    Classes are spread evenly over the folds as far as copies allow.

    Raises:
        DataError: fewer different images than folds.
    """
    _, first, group = np.unique(images.hashes(), return_index=True, return_inverse=True)
    if len(first) < count:
        raise DataError(
            "{source} has {images}: too few for {count} folds",
            id="tune.too-few-images",
            source=images.source,
            images=format_count(len(first), "different image"),
            count=count,
        )
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(first))
    if images.labels is not None:
        shuffled = shuffled[np.argsort(images.labels[first[shuffled]], kind="stable")]
    of_group = np.empty(len(first), dtype=np.int64)
    of_group[shuffled] = np.arange(len(first)) % count
    fold = of_group[group.reshape(-1)]
    return [
        (np.flatnonzero(fold != n).astype(np.int64), np.flatnonzero(fold == n).astype(np.int64))
        for n in range(count)
    ]
