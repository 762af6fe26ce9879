"""The names of all images that a folder or archive holds, found without opening one of them.

A model records them when it is trained. Later it is known from a listing alone whether a folder can be the
one it was trained on, before anything in it is decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.errors import DataError
from isthmus.images.listing import list_images
from isthmus.images.shards import find_shards, list_shards
from isthmus.images.store import ImageSet


@dataclass(frozen=True)
class Inventory:
    """How many images there are, with those that cannot be read, and a hash of their sorted names."""

    count: int
    names: str

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "names": self.names}


def inventory_of(parts: Iterable[ImageSet]) -> Inventory:
    """The inventory of a folder whose images, all of them, are in these parts."""
    names: set[str] = set()
    for part in parts:
        names.update(part.names)
        names.update(one.name for one in part.skipped)
    return _inventory(names)


def list_inventory(source: str | Path, *, most: int) -> Inventory | None:
    """The inventory of a folder or archive, listed only as far as `most` images; None for any other file.

    Raises:
        DataError: there are more, none, or it cannot be listed.
    """
    path = Path(source)
    try:
        shards = find_shards(path)
        if not shards and not path.is_dir():
            return None
        files = (list_shards(shards, most=most) if shards else list_images(path, most=most)).files
    except OSError as error:
        raise DataError(
            "{source}: cannot be listed ({reason})",
            id="data.cannot-list",
            source=source,
            reason=error.strerror or error,
        ) from None
    return _inventory({file.name for file in files})


def _inventory(names: set[str]) -> Inventory:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(names):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return Inventory(len(names), digest.hexdigest())
