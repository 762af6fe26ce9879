"""Which arrays of an `.npz` file are images, labels and class names, by the keys of common tools.

    images, labels, classes                          isthmus
    x_train, y_train, x_test, y_test                 Keras: mnist.npz
    train_images, train_labels, val_images, …        MedMNIST

A file of several parts is read as its training part; `FILE.npz:test` names another. A single array of any
name is the images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from isthmus.errors import DataError, nearest

Shape = tuple[int, ...]
"""Height, width and, where there are several, channels of images that an array holds as rows `(N, H·W·C)`."""
PART_NAMES = ("train", "val", "test")
_PAIRS = (
    ("images", "labels"),
    ("x_{part}", "y_{part}"),
    ("{part}_images", "{part}_labels"),
    ("X_{part}", "Y_{part}"),
    ("X_{part}", "y_{part}"),
)
_CLASS_KEYS = ("classes", "class_names")
_PART = re.compile(r"(.+\.npz):([A-Za-z]+)", re.IGNORECASE | re.DOTALL)
_SHAPE = re.compile(r"(.+):(\d{1,5})x(\d{1,5})(?:x(\d{1,2}))?", re.DOTALL)


@dataclass(frozen=True)
class NpzKeys:
    """The keys of what is read.

    Attributes:
        images, labels, classes: keys, None where there are none.
        part: which part of the file it is; "" where it has only one.
        parts: all of them.
    """

    images: str
    labels: str | None = None
    classes: str | None = None
    part: str = ""
    parts: tuple[str, ...] = ()


def split_part(name: str) -> tuple[str, str]:
    """`FILE.npz:test` as the file and the part; any other name as itself and ""."""
    match = _PART.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def split_shape(name: str) -> tuple[str, Shape | None]:
    """`FILE.npy:28x28` as the file and the shape of its images; any other name as itself and None."""
    match = _SHAPE.fullmatch(name)
    if match is None or not _holds_arrays(match[1]):
        return name, None
    return match[1], tuple(int(side) for side in match.groups()[1:] if side is not None)


def _holds_arrays(name: str) -> bool:
    return split_part(name)[0].lower().endswith((".npy", ".npz"))


def choose_keys(keys: Sequence[str], part: str, path: str) -> NpzKeys:
    """The arrays to read, of those that a file holds.

    Args:
        part: the requested one; "" for the training part, or the only one.

    Raises:
        DataError: no key is known as that of images, or there is no such part.
    """
    classes = next((key for key in _CLASS_KEYS if key in keys), None)
    parts_found: dict[str, NpzKeys] = {}
    for images, labels in _PAIRS:
        for part_name in PART_NAMES if "{part}" in images else ("",):
            pair = images.format(part=part_name), labels.format(part=part_name)
            if pair[0] in keys and (part_name not in parts_found or parts_found[part_name].labels is None):
                parts_found[part_name] = NpzKeys(
                    pair[0], pair[1] if pair[1] in keys else None, classes, part_name
                )
    if not parts_found and len(keys) == 1:
        parts_found[""] = NpzKeys(keys[0])
    if not parts_found:
        key_names = ", ".join(name[:60] for name in keys[:5]) + (", …" if len(keys) > 5 else "")
        raise DataError(
            "{path}: no array 'images' in it; it holds {held}",
            id="data.npz-no-images",
            path=path,
            held=key_names or "nothing",
        )
    chosen_part = part or (
        "" if "" in parts_found else next(part_name for part_name in PART_NAMES if part_name in parts_found)
    )
    if chosen_part not in parts_found:
        names = tuple(part_name for part_name in parts_found if part_name)
        raise DataError(
            "{path}: no part '{part}' in it{suggestion}",
            id="data.npz-no-part",
            path=path,
            part=part,
            suggestion=nearest(part, names) if names else "",
        )
    chosen = parts_found[chosen_part]
    parts = tuple(part_name for part_name in parts_found if part_name)
    return NpzKeys(chosen.images, chosen.labels, chosen.classes, chosen_part, parts)
