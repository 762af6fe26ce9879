"""A part of a set that stands for the whole of it."""

from __future__ import annotations

import re

import numpy as np

from isthmus.errors import DataError
from isthmus.images.store import ImageSet, Indices
from isthmus.wording import format_count

CHOSEN = re.compile(r"(.+)\[(-?\d{1,18})?(:(-?\d{1,18})?)?\]", re.DOTALL)


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


def choose_images(images: ImageSet, chosen: re.Match[str]) -> ImageSet:
    """The part of a set that a name such as `t.npy[5]` stands for.

    Args:
        chosen: the match of `CHOSEN` with the name.

    Raises:
        DataError: the set holds no such image.
    """
    low, several, high = chosen[2], chosen[3], chosen[4]
    count = len(images)
    if several is not None:
        part = images[slice(*(None if end is None else int(end) for end in (low, high)))]
        if len(part) == 0:
            raise DataError(
                "{source} holds {images}, none of them in {name}",
                id="data.no-such-image",
                source=chosen[1],
                images=format_count(count, "image"),
                name=chosen[0],
            )
        return part
    if low is None or not -count <= int(low) < count:
        raise DataError(
            "{name}: {source} holds {images}, from [0] to [{last}]",
            id="data.no-such-index",
            name=chosen[0],
            source=chosen[1],
            images=format_count(count, "image"),
            last=count - 1,
        )
    return images.subset([int(low) % count])
