"""Which files under a folder are images, what they are called, and the labels their sub-folders give."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.errors import DataError
from isthmus.images.opening import KINDS, SUFFIXES, Member
from isthmus.images.store import Indices


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file with an image's suffix: where it is, its printable path under the folder, its label or None.

    The label is its first folder. For a file in a tar shard `place` is the archive, `member` its place in it,
    and the label what stands beside it there.
    """

    place: str
    name: str
    label: str | None
    member: Member | None = None

    @property
    def path(self) -> Path:
        """Where it is, or the archive that it lies in."""
        return Path(self.place)

    @property
    def source(self) -> str | Member:
        """What `formats.decode` reads."""
        return self.member or self.place


class TooManyError(DataError):
    """A folder or an archive holds more than was expected; it was not listed to its end."""


def find_images(folder: str | Path, *, most: int | None = None) -> list[ImageFile]:
    """Every file with an image's suffix under `folder`, hidden ones excepted, ordered by its path's parts.

    Args:
        most: give up at more images than that, or at ten times as many entries and ten thousand more.

    Raises:
        DataError: no such folder, or no image in it.
        TooManyError: there are more than `most`.
    """
    top = Path(folder)
    if not top.is_dir():
        raise DataError(f"{folder}: {'is not a folder' if top.exists() else 'no such folder'}")
    found: list[ImageFile] = []
    idx_file: Path | None = None
    # Paths stay strings: a `Path` for each of a million files takes longer than to list them.
    entries = 0
    for place, folders, names in os.walk(top):
        entries += len(folders) + len(names)
        if most is not None and (len(found) > most or entries > 10 * most + 10_000):
            raise TooManyError(f"{folder}: more than {most:,} images")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = tuple(_printable(part) for part in Path(place).relative_to(top).parts)
        inside = place if place.endswith(os.sep) else place + os.sep
        start, label = "".join(f"{part}/" for part in below), below[0] if below else None
        for name in names:
            if name[max(name.rfind("."), 0) :].lower() in SUFFIXES and not name.startswith("."):
                found.append(ImageFile(inside + name, start + _printable(name), label))
            elif "images-idx3-ubyte" in name.replace(".", "-"):
                idx_file = Path(place, name)
    if not found:
        example = idx_file or "fashion-sample"
        raise DataError(f"{folder}: no images in it (kinds read: {KINDS})", hint=f"isthmus train {example}")
    return sorted(found, key=lambda file: (file.name.split("/"), file.place))


def labels_of(files: list[ImageFile], kept: list[ImageFile]) -> tuple[Indices | None, tuple[str, ...]]:
    """(labels of `kept`, class names); (None, ()) unless every one of `files` lies in a sub-folder.

    Classes are counted over all files, so that a broken one does not renumber the others.
    """
    found = {file.label for file in files if file.label is not None}
    if any(file.label is None for file in files):
        return None, ()
    numbers = any(file.member is not None for file in files) and all(
        name.isdecimal() and len(name) < 19 for name in found
    )
    classes = tuple(sorted(found, key=int) if numbers else sorted(found))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[file.label or ""] for file in kept], dtype=np.int64), classes


def _printable(name: str) -> str:
    # Linux names are bytes; those that are not UTF-8 could otherwise not even be printed.
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
