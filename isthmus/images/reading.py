"""One entry for DATA: whatever holds images -> ImageSet."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.errors import DataError, nearest
from isthmus.images.arrays import from_array, is_tensor, label_numbers, read_npy, read_npz
from isthmus.images.conform import check_request, conform
from isthmus.images.folder import read_folder
from isthmus.images.formats import decode, probe
from isthmus.images.idx import is_idx, read_idx_set
from isthmus.images.named import is_name, read_named
from isthmus.images.opening import MAX_PIXELS
from isthmus.images.pool import Progress
from isthmus.images.registry import NAMES
from isthmus.images.shards import find_shards
from isthmus.images.store import ImageSet
from isthmus.input_files import special_kind


def read(
    data: Any,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    max_pixels: int = MAX_PIXELS,
    labels: Any = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Read images from wherever they are.

    Args:
        data: a folder (sub-folders = labels), an idx file (labels found beside it), `.npy`, `.npz` (`images`,
            optional `labels`), one image file, a `.tar` shard or a folder of them, a data-set name with
            optional split (`fashion-mnist`, `mnist:test`), a NumPy array, a torch tensor, or an ImageSet. A
            path that exists wins over a name.
        size: (h, w), every image resized to cover it and cut to its centre; None keeps sizes.
        channels: 1 or 3 to force gray or colour; None keeps what is there (gray becomes colour where mixed).
        max_pixels: refuse or skip larger image files, from their header.
        labels: (N,) whole numbers, instead of those found.
        cache: a folder for the decoded pixels of a folder or of shards, which are then mapped into memory
            however few they are; None keeps them in memory unless they are more than a quarter of it.
        progress: called with (done, total) while a folder is decoded.

    Returns:
        The images in their own sample type, with what was skipped and which choices were made.

    Raises:
        DataError: nothing there, nothing readable, inconsistent or hostile input.
        UsageError: impossible `size` or `channels`, or an unknown split.
    """
    check_request(size=size, channels=channels)
    if isinstance(data, ImageSet):
        images = data
    elif isinstance(data, np.ndarray) or is_tensor(data):
        images = from_array(data, labels)
        labels = None
    elif isinstance(data, (str, os.PathLike)):
        if not os.fspath(data):
            raise DataError("DATA is empty: give a path or a data-set name")  # Path("") is the current folder
        path = Path(data)
        if path.is_dir() or find_shards(path):
            images = read_folder(
                path,
                size=size,
                channels=channels,
                max_pixels=max_pixels,
                cache=None if cache is None else Path(cache),
                progress=progress,
            )
        else:
            images = _read_file(os.fspath(data), path, max_pixels)
        images = images.named(str(data))
    else:
        kinds = "a path, a data-set name, a NumPy array or a torch tensor"
        raise DataError(f"cannot read images from a {type(data).__name__}; give {kinds}")
    images = conform(images, size=size, channels=channels)
    if labels is not None:
        numbers = label_numbers(labels, len(images), images.source)
        images = replace(images, labels=numbers, classes=tuple(map(str, range(int(numbers.max()) + 1))))
    return images


def _read_file(data: str | bytes, path: Path, max_pixels: int) -> ImageSet:
    name = os.fsdecode(data)
    if not path.exists():
        if is_name(name):
            return read_named(name)
        guess = nearest(name.partition(":")[0], NAMES)
        close = guess if "did you mean" in guess else ""
        raise DataError(f"{name}: no such file, folder or named data set{close}")
    if (special := special_kind(path)) is not None:
        raise DataError(f"{name}: {special}")
    if is_idx(path):
        return read_idx_set(path, max_pixels=max_pixels)
    if path.suffix.lower() == ".npy":
        return read_npy(path)
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    header = probe(path, max_pixels=max_pixels)
    notes = []
    if header.transparent:
        notes.append("the image has transparent parts: laid on white")
    if header.narrowed:
        notes.append("the image has 16-bit colour: read with 8 bits")
    if header.several:
        notes.append("the file holds several pages or frames: only the first is read")
    return ImageSet(decode(path, max_pixels=max_pixels)[None], names=(path.name,), notes=tuple(notes))
