"""Images of sets as inputs of uses that work on files: `t.npy[5]`, `mnist:test[17]`, `photos.tar`."""

from __future__ import annotations

import re
from pathlib import Path

from isthmus.file_jobs import InputFiles
from isthmus.images.opening import SUFFIXES
from isthmus.images.reading import names_set, read_samples
from isthmus.images.sample_range import ANYWHERE, UNIT, Range
from isthmus.input_files import is_folder, is_there

_CHOICE = re.compile(r"\[[-\d:]*\]$")
_ENDINGS = re.compile(r"(\.(gz|npy|npz|idx[13]?))+$|[-.]idx3-ubyte(\.gz)?$", re.IGNORECASE)


def list_set_images(name: str, *, raw: bool = False, bounds: Range | None = None) -> InputFiles | None:
    """The images of the set that `name` stands for; None where it stands for none, such as an image file.

    An image that has a file of its own, such as `photos/[3]`, is given as that file. Others are called by the
    set and their place in it, `t-5` and `mnist-test-17`, or as in their archive.

    Args:
        raw: samples are mapped to [0, 1] later: they come as float32 in their own units.
        bounds: where floats may lie; by default [0, 1].

    Raises:
        DataError: see `isthmus.read`.
    """
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
    return InputFiles(tuple(files), tuple(images.skipped), pixels)


def _name_output(base: str, image_name: str) -> str:
    """`t-5` for image 5 of `t.npy`; the name of an image that has one."""
    if not image_name.isdecimal():
        return image_name
    stem = _ENDINGS.sub("", Path(base).name if is_there(base) else base)
    return f"{stem.replace(':', '-')}-{image_name}"
