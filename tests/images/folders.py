"""A folder as an image set, with the options of reading."""

from __future__ import annotations

from pathlib import Path

from isthmus.images.folder import read_listed
from isthmus.images.runs import ReadOptions
from isthmus.images.shards import list_folder
from isthmus.images.store import ImageSet


def read_folder(folder: str | Path, options: ReadOptions | None = None) -> ImageSet:
    return read_listed(list_folder(folder), str(folder), options or ReadOptions())
