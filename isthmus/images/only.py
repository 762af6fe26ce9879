"""A list of image names, one a line: the part of a set that is to be used (`names_from` of `train`)."""

from __future__ import annotations

import os

import numpy as np

from isthmus.errors import DataError
from isthmus.escaping import list_names
from isthmus.images.store import ImageSet
from isthmus.input_files import read_text


def read_names(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names in a list in UTF-8, one per line, as `isthmus.escaping.list_line` writes them.

    Empty lines and lines that begin with `# ` are left out; a name that could not stand for itself is a JSON
    string.

    Raises:
        DataError: the file is missing, not text, or names nothing.
    """
    try:
        names = tuple(list_names(read_text(path)))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not a list of image names: {reason}",
            id="data.name-list-unreadable",
            path=path,
            reason=why,
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
    wanted = set(read_names(path))
    unknown = wanted.difference(images.names)
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
    kept = np.flatnonzero([name in wanted for name in images.names])
    return images.subset(kept)
