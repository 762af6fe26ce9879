"""Which files under a folder are images, what they are called, and the labels their sub-folders give."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.errors import DataError
from isthmus.images.formats import KINDS, SUFFIXES, Member
from isthmus.images.store import Indices


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file with an image's suffix: where it is, its printable path under the folder, its label or None.

    The label is its first folder. For a file in a tar shard `path` is the archive, `member` its place in it,
    and the label what stands beside it there.
    """

    path: Path
    name: str
    label: str | None
    member: Member | None = None

    @property
    def source(self) -> Path | Member:
        """What `formats.decode` reads."""
        return self.member or self.path


def find_images(folder: str | Path) -> list[ImageFile]:
    """Every file with an image's suffix under `folder`, hidden ones excepted, ordered by its path's parts.

    Raises:
        DataError: no such folder, or no image in it.
    """
    top = Path(folder)
    if not top.is_dir():
        raise DataError(f"{folder}: {'is not a folder' if top.exists() else 'no such folder'}")
    found: list[ImageFile] = []
    idx_file: Path | None = None
    for place, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                parts = tuple(_printable(part) for part in path.relative_to(top).parts)
                found.append(ImageFile(path, "/".join(parts), parts[0] if len(parts) > 1 else None))
            elif "images-idx3-ubyte" in name.replace(".", "-"):
                idx_file = path
    if not found:
        example = idx_file or "fashion-sample"
        raise DataError(f"{folder}: no images in it (kinds read: {KINDS})", hint=f"isthmus train {example}")
    return sorted(found, key=lambda file: (file.name.split("/"), str(file.path)))


def labels_of(files: list[ImageFile], kept: list[ImageFile]) -> tuple[Indices | None, tuple[str, ...]]:
    """(labels of `kept`, class names); (None, ()) unless every one of `files` lies in a sub-folder.

    Classes are counted over all files, so that a broken one does not renumber the others.
    """
    found = {file.label for file in files if file.label is not None}
    if any(file.label is None for file in files):
        return None, ()
    numbers = any(file.member is not None for file in files) and all(map(str.isdecimal, found))
    classes = tuple(sorted(found, key=int) if numbers else sorted(found))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[file.label or ""] for file in kept], dtype=np.int64), classes


def _printable(name: str) -> str:
    # Linux names are bytes; those that are not UTF-8 could otherwise not even be printed.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
