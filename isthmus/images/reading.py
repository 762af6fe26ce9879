"""One entry for DATA: any source of images -> ImageSet; and for one image -> (H, W, C)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.errors import DataError, Hint, nearest
from isthmus.images.arrays import from_array, label_numbers, read_npy, read_npz
from isthmus.images.conform import check_request, conform, joined, to_channels
from isthmus.images.content import content_of, is_encoded, is_open
from isthmus.images.folder import read_listed
from isthmus.images.idx import is_idx, read_idx_set
from isthmus.images.listing import ImageFile, Listing
from isthmus.images.named import NAMES, is_name, read_named
from isthmus.images.npz_keys import Shape, split_part, split_shape
from isthmus.images.opening import MAX_PIXELS, SUFFIXES, Content, ImageFileError
from isthmus.images.pool import Progress
from isthmus.images.reading_notes import header_notes
from isthmus.images.runs import ReadOptions
from isthmus.images.sample_range import UNIT, Range, UnreadablePixelsError, check_range, to_samples
from isthmus.images.shards import find_shards, list_folder
from isthmus.images.sources import is_pillow, is_tensor, read_source
from isthmus.images.store import ImageSet, Pixels, Ragged, Skipped
from isthmus.images.subsets import CHOSEN, choose_images
from isthmus.images.tables import SUFFIXES as TABLE_SUFFIXES
from isthmus.images.tables import read_table
from isthmus.input_files import is_folder, is_there, special_kind
from isthmus.wording import format_count

# `mnist:test[17]`, `t.npy[-1]`, `mnist:test[10:20]`
KINDS = (
    "a path, a data-set name, an array, a tensor, a Pillow image, an image file's bytes, or a list of them"
)


def read(
    data: Any,
    *,
    size: tuple[int, int] | int | None = None,
    channels: int | None = None,
    range: Range | None = None,
    max_pixels: int = MAX_PIXELS,
    labels: Any = None,
    shape: Sequence[int] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Read images from wherever they are.

    Args:
        data: a folder (sub-folders = labels), an idx file (labels found beside it), `.npy`, `.npz` (`images`,
            optional `labels` and `classes`; also the keys of Keras and MedMNIST, `FILE.npz:test` for a part),
            a list of files with labels (`.csv`, `.tsv`, `.txt`, see `isthmus.images.tables`), one image file,
            its bytes or the open file, a `.tar` shard or a folder of them, a data-set name with optional
            split (`fashion-mnist`, `mnist:test`), a NumPy array, a torch tensor, a Pillow image, an ImageSet;
            or a list of any of these. A path that exists wins over a
            name. `[17]` or `[10:20]` behind a path or a name chooses images: `mnist:test[-1]`.
        size: (h, w), or the side of a square: every image resized to cover it and cut to its centre; None
            keeps sizes.
        channels: 1 or 3 to force gray or colour; 2 to 64 where an array's axes could be read in two ways;
            None keeps what is there (gray becomes colour where mixed).
        range: the samples (low, high) that stand for black and white, in the units of `data`; all images
            become float32 in [0, 1]. None: integers of 8 or 16 bits have their own, floats lie in [0, 1].
        max_pixels: refuse or skip larger image files, from their header.
        labels: (N,) whole numbers, instead of those found.
        shape: (h, w) or (h, w, c) of each image, where an array holds images as rows `(N, h·w·c)`; of a file
            also behind its name: `FILE.npy:28x28`.
        cache: a folder for the decoded pixels of a folder or of shards, which are then mapped into memory
            however few they are; None keeps them in memory unless they are more than a quarter of it.
        progress: called with (done, total) while a folder is decoded.

    Returns:
        The images in their own sample type, with what was skipped and which choices were made.

    Raises:
        DataError: nothing there, nothing readable, inconsistent or hostile input, samples out of range.
        UsageError: impossible `size`, `channels` or `range`, or an unknown split.

    Example:
        >>> import isthmus
        >>> isthmus.read("fashion-sample:test[:3]")
        ImageSet('fashion-sample:test[:3]': 3 images, 28×28 gray, uint8, 10 classes)
    """
    size = (size, size) if isinstance(size, int) else size
    check_request(size=size, channels=channels)
    reader = _Reader(
        size=size,
        channels=channels,
        value_range=check_range(range),
        max_pixels=max_pixels,
        cache=cache,
        progress=progress,
        array_channels=channels,
        shape=None if shape is None else tuple(shape),
    )
    images = reader.read(data)
    if size is not None or channels is not None:
        images = conform(images, size=size, channels=channels)
    if labels is not None:
        numbers = label_numbers(labels, len(images), images.source)
        classes = tuple(map(str, np.arange(int(numbers.max()) + 1)))
        images = replace(images, labels=numbers, classes=classes)
    return images


def read_samples(
    data: Any, *, range: Range | None = None, bounds: Range, max_pixels: int = MAX_PIXELS
) -> ImageSet:
    """As `read`, for restoration: floats of arrays may lie within `bounds`, for noise leads beyond [0, 1]."""
    return _Reader(value_range=check_range(range), max_pixels=max_pixels, bounds=bounds).read(data)


def read_expected(data: Any, channels: int, *, range: Range | None = None) -> ImageSet:
    """As `read`, of images that should have a number of channels, which settles what an array's axes are.

    They are not converted, and may turn out to have another number.
    """
    return _Reader(value_range=check_range(range), array_channels=channels).read(data)


def read_image(
    image: Any,
    *,
    channels: int | None = None,
    range: Range | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """Read one image, from anything that `read` takes and that holds one.

    Args:
        image: an image file's path, its bytes or the open file, a Pillow image, an array (H, W), (H, W, C) or
            (1, H, W, C), a tensor (1, C, H, W), or one image of a set: `mnist:test[17]`, `t.npy[-1]`.
        channels: 1 or 3: alpha is laid on white, gray repeated, colour weighed into gray; None keeps them.
        range: as for `read`.
        max_pixels: refuse larger image files, from their header.

    Returns:
        (H, W, C) uint8, uint16 or float32 in [0, 1]; not to be written to.

    Raises:
        DataError: as `read`; several images.
        UsageError: impossible `channels` or `range`.
    """
    pixels = read_single(image, channels=channels, range=range, max_pixels=max_pixels).image(0)
    return pixels if channels is None else to_channels(pixels, channels)


def read_single(
    image: Any,
    *,
    channels: int | None = None,
    range: Range | None = None,
    max_pixels: int = MAX_PIXELS,
) -> ImageSet:
    """As `read_image`: the one image as a set, with the choices that were made. Its channels are not changed;
    `channels` decides what the axes of an array are.
    """
    check_request(size=None, channels=channels)
    reader = _Reader(value_range=check_range(range), max_pixels=max_pixels, array_channels=channels)
    images = reader.read(image)
    if len(images) != 1:
        raise DataError(
            "{source}: expected one image, but it holds {images:,}",
            id="data.one-image-needed",
            hint=f"{images.source}[0]" if isinstance(image, (str, os.PathLike)) else "images[0]",
            source=images.source,
            images=len(images),
        )
    return images


def names_set(path: str | os.PathLike[str]) -> bool:
    """Whether this is a folder, an array file, an archive, a named data set, or a part of one."""
    name = os.fspath(path)
    if not is_there(name):
        return bool(CHOSEN.fullmatch(name)) or is_name(name) or is_there(split_part(split_shape(name)[0])[0])
    place = Path(name)
    if is_folder(name) or place.suffix.lower() in (".npy", ".npz", ".tar"):
        return True
    return special_kind(place) is None and is_idx(place)


@dataclass(frozen=True, kw_only=True)
class _Reader(ReadOptions):
    """`read`'s request, for every part of what may be a list."""

    bounds: Range = UNIT
    array_channels: int | None = None
    shape: Shape | None = None

    def read(self, data: Any) -> ImageSet:
        if isinstance(data, ImageSet):
            return data if self.value_range is None else self._mapped(data)
        if isinstance(data, np.ndarray) or is_tensor(data):
            return from_array(data, **self._array_options())
        if isinstance(data, (str, os.PathLike)):
            return self._path(os.fspath(data)).named(str(data))
        if is_pillow(data):
            return self._read_image(data, str(getattr(data, "filename", "") or "image"))
        if is_encoded(data):
            content = content_of(data)
            return self._read_image(content, content.name)
        if isinstance(data, (list, tuple)):
            return self._list(data)
        raise DataError(
            "cannot read images from a {type}; give {kinds}",
            id="data.unknown-kind",
            type=type(data).__name__,
            kinds=KINDS,
        )

    def _path(self, name: str) -> ImageSet:
        if not name:
            raise DataError(
                "DATA is empty: give a path or a data-set name", id="data.empty-name"
            )  # Path("") is the current folder
        path = Path(name)
        if is_folder(name) or find_shards(path):
            return read_listed(list_folder(path), str(path), self)
        if is_there(name):
            return self._file(name, path)
        file, shape = split_shape(name)
        if shape is not None and is_there(split_part(file)[0]):
            return replace(self, shape=shape)._path(file)
        file, part = split_part(name)
        if part and is_there(file) and special_kind(file) is None:
            return self._npz(Path(file), part)
        if chosen := CHOSEN.fullmatch(name):
            return choose_images(self._path(chosen[1]).named(chosen[1]), chosen)
        if is_name(name):
            named = read_named(name)
            return named if self.value_range is None else self._mapped(named)
        guess = nearest(name.partition(":")[0], NAMES)
        close = guess if "did you mean" in guess else ""
        raise DataError(
            "{name}: no such file, folder or named data set{suggestion}",
            id="data.missing",
            name=name,
            suggestion=close,
        )

    def _file(self, name: str, path: Path) -> ImageSet:
        if (special := special_kind(path)) is not None:
            raise DataError("{name}: {reason}", id="data.special-file", name=name, reason=special)
        if is_idx(path):
            image_set = read_idx_set(path, max_pixels=self.max_pixels)
            return image_set if self.value_range is None else self._mapped(image_set)
        if path.suffix.lower() in TABLE_SUFFIXES:
            return read_listed(read_table(path), name, self)
        if path.suffix.lower() == ".npy":
            return read_npy(path, **self._array_options())
        if path.suffix.lower() == ".npz":
            return self._npz(path)
        return self._read_image(path, path.name)

    def _npz(self, path: Path, part: str = "") -> ImageSet:
        return read_npz(path, part=part, **self._array_options())

    def _array_options(self) -> dict[str, Any]:
        return {
            "value_range": self.value_range,
            "bounds": self.bounds,
            "channels": self.array_channels,
            "shape": self.shape,
        }

    def _read_image(self, source: Any, name: str) -> ImageSet:
        """An image file, its content, or a Pillow image."""
        header, pixels = read_source(source, value_range=self.value_range, max_pixels=self.max_pixels)
        return ImageSet(pixels[None], names=(name,), notes=header_notes(header), source=str(name))

    def _list(self, data: Sequence[Any]) -> ImageSet:
        if not data:
            raise DataError("no images in an empty list", id="data.empty-list")
        paths = [os.fspath(item) if isinstance(item, (str, os.PathLike)) else "" for item in data]
        if all(Path(path).suffix.lower() in SUFFIXES and is_there(path) for path in paths):
            listed = Listing([ImageFile(path, path, None) for path in paths])
            return read_listed(listed, f"list of {format_count(len(paths), 'file')}", self)
        sets: list[ImageSet] = []
        # A pipe can be read only once, and may stand in the list several times.
        contents: dict[int, Content] = {}
        for item in data:
            if is_open(item) and id(item) not in contents:
                contents[id(item)] = content_of(item)
        skipped: list[Skipped] = []
        hint: Hint | None = None
        for index, (item, path) in enumerate(zip(data, paths, strict=True)):
            try:
                content = contents.get(id(item))
                image_set = self.read(item) if content is None else self._read_image(content, content.name)
            except ImageFileError as error:  # as in a folder, a broken file is left out
                hint = hint if skipped else error.hint
                skipped.append(Skipped(path or str(index), error.reason))
                continue
            if path:
                names = tuple(path if len(image_set) == 1 else f"{path}/{name}" for name in image_set.names)
            else:
                names = (
                    (str(index),) if len(image_set) == 1 else tuple(f"{index}/{n}" for n in image_set.names)
                )
            sets.append(replace(image_set, names=names))
        if not sets:
            count = format_count(len(data), "image")
            raise DataError(
                "none of {images} can be read: {reason}",
                id="data.list-unreadable",
                hint=hint,
                images=count,
                reason=skipped[0].reason,
            )
        return joined(sets, source=f"list of {len(data)}", skipped=skipped)

    def _mapped(self, images: ImageSet) -> ImageSet:
        given = images.pixels
        try:
            flat = given.flat if isinstance(given, Ragged) else given
            pixels = to_samples(flat, self.value_range, bounds=self.bounds)
        except UnreadablePixelsError as error:
            raise DataError(
                "{source}: {reason}", id="data.problem", hint=error.hint, source=images.source, reason=error
            ) from None
        if isinstance(given, Ragged):
            return replace(images, pixels=Ragged(pixels, given.offsets, given.shapes))
        return replace(images, pixels=pixels)
