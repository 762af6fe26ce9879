"""Images without a file of their own, as inputs of uses that work on files: `t.npy[5]`, tar files, arrays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from isthmus.file_jobs import InputFiles
from isthmus.images.content import is_encoded
from isthmus.images.opening import SUFFIXES, ImageFileError
from isthmus.images.reading import names_set, read_samples
from isthmus.images.sample_range import ANYWHERE, UNIT, Range
from isthmus.images.sources import decode_source, is_pillow
from isthmus.images.store import ImageSet, Skipped
from isthmus.images.tables import SUFFIXES as TABLE_SUFFIXES
from isthmus.images.tables import read_table
from isthmus.input_files import is_folder, is_there, special_kind

_CHOICE = re.compile(r"\[[-\d:]*\]$")
_ENDINGS = re.compile(r"(\.(gz|npy|npz|idx[13]?))+$|[-.]idx3-ubyte(\.gz)?$", re.IGNORECASE)


def list_set_images(name: str, *, raw: bool = False, bounds: Range | None = None) -> InputFiles | None:
    """The images of the set that `name` stands for; None where it stands for none, such as an image file.

    A list of paths (`.csv`, `.tsv`, `.txt`) gives its files, named as in the list. An image that has a file
    of its own, such as `photos/[3]`, is given as that file. Others are called by the set and their place in
    it, `t-5` and `mnist-test-17`, or as in their archive.

    Args:
        raw: samples are mapped to [0, 1] later: they come as float32 in their own units.
        bounds: where floats may lie; by default [0, 1].

    Raises:
        DataError: see `isthmus.read`.
    """
    if is_there(name) and Path(name).suffix.lower() in TABLE_SUFFIXES and special_kind(Path(name)) is None:
        return InputFiles(tuple((file.path, file.name) for file in read_table(name).files))
    if (is_there(name) and Path(name).suffix.lower() in SUFFIXES) or not names_set(name):
        return None
    if raw:
        images = read_samples(name, range=UNIT, bounds=ANYWHERE)
    else:
        images = read_samples(name, bounds=bounds or UNIT)
    base = name if is_there(name) else _CHOICE.sub("", name)
    files, pixels = [], {}
    for place, image_name in enumerate(images.names):
        file = Path(base, image_name) if is_folder(base) else Path(base)
        if is_there(file) and file.suffix.lower() in SUFFIXES:
            files.append((file, image_name))
            continue
        files.append((Path(name), _name_output(base, image_name)))
        pixels[place] = images.image(place)
    return InputFiles(tuple(files), tuple(images.skipped), pixels, tuple(images.notes))


def list_object_images(
    value: Any, place: str, *, raw: bool = False, bounds: Range | None = None
) -> InputFiles:
    """The images in an array, a tensor, an `ImageSet`, a Pillow image, the bytes of a file or an open file.

    An image file's transparency is kept. What cannot be read in a list is skipped.

    Args:
        place: in a list, which names it; empty where it is alone.
        raw, bounds: as for `list_set_images`.

    Raises:
        DataError: see `isthmus.read`; an unreadable image file that is alone.
    """
    try:
        images = _read_object(value, raw=raw, bounds=bounds or UNIT)
    except ImageFileError as error:
        if not place:
            raise
        return InputFiles((), (Skipped(place, error.reason),))
    names = images.names
    if place:
        names = (place,) if len(images) == 1 else tuple(f"{place}/{name}" for name in names)
    files = tuple((Path(name), name) for name in names)
    pixels = {row: images.image(row) for row in range(len(images))}
    return InputFiles(files, tuple(images.skipped), pixels, tuple(images.notes))


def _read_object(value: Any, *, raw: bool, bounds: Range) -> ImageSet:
    if is_encoded(value) or is_pillow(value):
        pixels = decode_source(value, alpha="keep", raw=raw)
        return ImageSet(pixels[None], names=("image",))
    if raw:
        return read_samples(value, range=UNIT, bounds=ANYWHERE)
    return read_samples(value, bounds=bounds)


def _name_output(base: str, image_name: str) -> str:
    """`t-5` for image 5 of `t.npy`; the name of an image that has one."""
    if not image_name.isdecimal():
        return image_name
    stem = _ENDINGS.sub("", Path(base).name if is_there(base) else base)
    return f"{stem.replace(':', '-')}-{image_name}"
