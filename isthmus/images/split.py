"""Hold a part of a set out by content, so that the same picture never stands on both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import UsageError
from isthmus.images.store import ImageSet, Indices


def hold_out(
    images: ImageSet, fraction: float, *, limit: int = 5000, seed: int = 0, groups: Indices | None = None
) -> tuple[Indices, Indices]:
    """(train indices, held-out indices), both ascending; together every image once.

    Which images are held out depends on their content and `seed` only, not on names or order, and changes
    little when images are added. Copies of one image stay together.

    Args:
        fraction: part to hold out, at least 0 and below 1; 0 holds nothing out.
        limit: hold out at most so many images. Where `fraction` is above 0 and there are two distinct images,
            each side gets at least one of them, with all its copies.
        groups: `(N,)` numbers of what must not be parted, such as patients; see `isthmus.images.grouping`.

    Raises:
        UsageError: `fraction` is outside [0, 1).
    """
    if not 0 <= fraction < 1:
        raise UsageError(
            "the held-out fraction must be at least 0 and below 1, not {fraction}",
            id="data.held-out-share",
            fraction=fraction,
        )
    distinct, group, sizes = group_contents(images, groups)
    target = min(limit, max(1, round(fraction * len(images))))
    held = np.zeros(len(distinct), dtype=bool)
    if fraction > 0 and len(distinct) > 1:
        order = np.argsort(_mixed(distinct, seed), kind="stable")
        count = 0
        for candidate in order[:-1]:  # the last one always stays for training
            if count + sizes[candidate] <= target:
                held[candidate] = True
                count += int(sizes[candidate])
        if count == 0:
            held[order[np.argmin(sizes[order])]] = True
    chosen = held[group]
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def group_contents(
    images: ImageSet, groups: Indices | None
) -> tuple[npt.NDArray[np.uint64], Indices, npt.NDArray[Any]]:
    """What must stay together: copies of one image, and all of a group with all their copies.

    Args:
        groups: `(N,)` numbers, or None.

    Returns:
        Of each such part the smallest content hash, ascending; the part of each image, `(N,)`; their sizes.
    """
    hashes = images.hashes()
    distinct, content, sizes = np.unique(hashes, return_inverse=True, return_counts=True)
    content = content.reshape(-1)
    if groups is None:
        return distinct, content, sizes
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # A content and a group are joined by each image that has both; parts are what hangs together.
    count = len(distinct)
    _, numbers = np.unique(groups, return_inverse=True)
    size = count + int(numbers.max()) + 1
    links = coo_array((np.ones(len(content), bool), (content, count + numbers.reshape(-1))), (size, size))
    _, part = connected_components(links, directed=False)
    part = part[content]
    least = np.full(int(part.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, part, hashes)
    smallest, inverse, counts = np.unique(least[part], return_inverse=True, return_counts=True)
    return smallest, inverse.reshape(-1), counts


def _mixed(values: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    """SplitMix64's output function over values and seed: Steele, Lea and Flood (2014), figure 16."""
    start = np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    mixed = (values ^ start) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
