"""Parts of a set: evenly spaced images, images of a list of names, random patches, and a held-out part.

The held-out part is chosen by content, so that the same picture is never in both parts.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, UsageError
from isthmus.escaping import list_names
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Indices
from isthmus.input_files import read_text
from isthmus.wording import format_count


def labels_of(images: ImageSet) -> Indices:
    """Raises:
    DataError: the images have no labels.
    """
    if images.labels is None:
        raise DataError(
            "{source} has no labels",
            id="data.no-labels",
            hint="put each class in a folder of its own",
            source=images.source,
        )
    return images.labels


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
        groups: `(N,)` numbers of groups that must stay together, such as patients; see
            `isthmus.images.grouping`.

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
    is_held_out = np.zeros(len(distinct), dtype=bool)
    if fraction > 0 and len(distinct) > 1:
        order = np.argsort(_mixed(distinct, seed), kind="stable")
        count = 0
        for candidate in order[:-1]:  # the last one always stays for training
            if count + sizes[candidate] <= target:
                is_held_out[candidate] = True
                count += int(sizes[candidate])
        if count == 0:
            is_held_out[order[np.argmin(sizes[order])]] = True
    chosen = is_held_out[group]
    return np.flatnonzero(~chosen).astype(np.int64), np.flatnonzero(chosen).astype(np.int64)


def group_contents(
    images: ImageSet, groups: Indices | None
) -> tuple[npt.NDArray[np.uint64], Indices, npt.NDArray[Any]]:
    """Parts that must stay together: copies of one image, and all images of a group with their copies.

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

    # Each image joins its content and its group; parts are the connected components.
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


def read_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names in a list in UTF-8, one per line, as `isthmus.escaping.list_line` writes them.

    Empty lines and lines that begin with `# ` are left out; a name that would be misread is a JSON string.

    Raises:
        DataError: the file is missing, not text, or names nothing.
    """
    try:
        names = tuple(list_names(read_text(path)))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not a list of image names: {reason}",
            id="data.name-list-unreadable",
            path=path,
            reason=reason,
        ) from None
    if not names:
        raise DataError("{path} names no images", id="data.name-list-empty", path=path)
    return names


def keep_named(images: ImageSet, path: str | os.PathLike[str]) -> ImageSet:
    """The images whose names are in the list, in the set's own order.

    Names are as `isthmus.read` gives them: a path below the folder, or an index.

    Raises:
        DataError: as `read_names`, or a name that is not in the set.
    """
    listed = set(read_names(path))
    unknown = listed.difference(images.names)
    if unknown:
        first = min(unknown)
        raise DataError(
            "{path}: {source} has no image '{name}' (nor {others:,} others)",
            id="data.listed-image-missing",
            path=path,
            source=images.source,
            name=first,
            others=len(unknown) - 1,
        )
    rows = np.flatnonzero([name in listed for name in images.names])
    return images.subset(rows)


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
    chosen = np.sort(random.integers(len(images), size=count))  # disks read faster in order
    where = random.random((count, 2))
    patches = np.empty((count, side, side, images.channels), dtype=np.float32)
    for row, index in enumerate(chosen):
        image = images.image(int(index))
        free_h, free_w = image.shape[0] - side, image.shape[1] - side
        top, left = int(where[row, 0] * (max(free_h, 0) + 1)), int(where[row, 1] * (max(free_w, 0) + 1))
        part = to_dtype(image[top : top + side, left : left + side], np.float32)
        if min(free_h, free_w) < 0:
            part = np.pad(part, ((0, max(0, -free_h)), (0, max(0, -free_w)), (0, 0)), mode="edge")
        patches[row] = part
    return np.ascontiguousarray(patches.transpose(0, 3, 1, 2))
