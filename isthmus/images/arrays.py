"""`.npy`, `.npz`, NumPy arrays and torch tensors -> ImageSet.

Shapes: (H, W) is one image; (H, W, C) with C of 1, 3 or 4 is one image, every other array of three dimensions
is (N, H, W); four dimensions are (N, H, W, C), C from 1 to 64. Torch tensors are (N, C, H, W). Images that
are 1, 3 or 4 pixels wide, and one image of 2 or of 5 to 64 channels, must therefore be given with four
dimensions. An array of more than 4 channels whose second axis is the shortest is most likely (N, C, H, W) and
refused. `channels=` resolves both cases: three dimensions that end in that number are one image, and four
dimensions are accepted.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, one_line
from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.cache import memory_bytes
from isthmus.images.flat_rows import check_not_flat, suggest_tensor_axes, unflatten
from isthmus.images.idx import DEFLATE_LIMIT
from isthmus.images.npz_keys import Shape, choose_keys
from isthmus.images.sample_range import UNIT, Range, UnreadablePixelsError, to_samples
from isthmus.images.sources import is_tensor
from isthmus.images.store import ImageSet, Indices, Pixels
from isthmus.input_files import open_input
from isthmus.messages import Message
from isthmus.wording import format_count

_MOST_CLASSES = 65_536


def from_array(
    images: Any,
    labels: Any = None,
    *,
    value_range: Range | None = None,
    bounds: Range = UNIT,
    channels: int | None = None,
    shape: Shape | None = None,
    source: str = "array",
) -> ImageSet:
    """A NumPy array or torch tensor as a set of images.

    Args:
        images: shapes as in the module's first lines; uint8, uint16, bool, or floats in [0, 1] (kept as
            float32), of any byte order and strides. uint8, uint16 and float32 in C order are not copied.
        value_range: the samples that stand for black and white, of any real type; they become float32.
        bounds: where floats may lie after that.
        labels: (N,) whole numbers from 0 to 65535, or None.
        channels: number of channels, where the shape could be read in two ways.
        shape: of each image, where `images` holds them as rows `(N, H·W)` or `(N, H·W·C)`.

    Raises:
        DataError: another shape or type, no images, NaN, floats outside [0, 1] by more than 1e-3, labels that
            do not fit.
    """
    if is_tensor(images):
        if images.ndim != 4:
            raise DataError(
                "{source}: a tensor must be (N, C, H, W), not {shape}",
                id="data.tensor-shape-of",
                hint=suggest_tensor_axes(tuple(images.shape)),
                source=source,
                shape=tuple(images.shape),
            )
        tensor = images.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).permute(0, 2, 3, 1).numpy()
        channels = array.shape[3]
    else:
        array = images if isinstance(images, np.ndarray) else np.asarray(images)
    if shape is not None:
        array = unflatten(array, shape, source)
        channels = array.shape[3]
    else:
        check_not_flat(array, labels, source)
    array, notes = _four_dimensions(array, source, channels)
    pixels = _sample_values(array, source, value_range, bounds)
    if not isinstance(pixels, np.memmap):
        pixels = np.ascontiguousarray(pixels)
    numbers = None if labels is None else label_numbers(labels, len(pixels), source)
    return ImageSet(
        pixels=pixels,
        names=tuple(map(str, range(len(pixels)))),
        labels=numbers,
        classes=() if numbers is None else tuple(map(str, range(int(numbers.max()) + 1))),
        source=source,
        notes=notes,
    )


def label_numbers(labels: Any, count: int, source: str) -> Indices:
    """Labels as (count,) int64.

    Raises:
        DataError: not whole numbers from 0 to 65535, or another number of them.
    """
    numbers = np.asarray(labels.detach().cpu() if is_tensor(labels) else labels)
    if numbers.dtype.kind not in "iu" or numbers.ndim != 1:
        raise DataError(
            "{source}: labels must be (N,) whole numbers, not {dtype} {shape}",
            id="data.labels-type",
            source=source,
            dtype=numbers.dtype,
            shape=numbers.shape,
        )
    if len(numbers) != count:
        raise DataError(
            "{source}: {images} but {labels}",
            id="data.labels-count",
            source=source,
            images=format_count(count, "image"),
            labels=format_count(len(numbers), "label"),
        )
    if numbers.min() < 0 or numbers.max() >= _MOST_CLASSES:
        raise DataError(
            "{source}: labels must lie in 0..65535, not {low}..{high}",
            id="data.labels-range",
            source=source,
            low=numbers.min(),
            high=numbers.max(),
        )
    return numbers.astype(np.int64)


def read_npy(
    path: str | Path,
    *,
    value_range: Range | None = None,
    bounds: Range = UNIT,
    channels: int | None = None,
    shape: Shape | None = None,
) -> ImageSet:
    """Images from a `.npy` file; nothing is ever unpickled.

    Raises:
        DataError: not such a file, pickled, shorter than its header says, or as `from_array`.
    """
    try:
        with open_input(path) as stream:
            np.lib.format.read_magic(stream)
        # A memory map is checked against the file's length before any memory is taken.
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many types on damaged headers
        raise DataError(
            "{path}: not a readable .npy file ({reason})",
            id="data.npy-unreadable",
            path=path,
            reason=one_line(error),
        ) from None
    large = mapped.nbytes > memory_bytes() // 4
    array = mapped if large else np.array(mapped)
    return from_array(
        array, value_range=value_range, bounds=bounds, channels=channels, shape=shape, source=str(path)
    )


def read_npz(
    path: str | Path,
    *,
    value_range: Range | None = None,
    bounds: Range = UNIT,
    channels: int | None = None,
    part: str = "",
    shape: Shape | None = None,
) -> ImageSet:
    """Images, and labels and class names where there are any, from a `.npz` file; nothing is ever unpickled.

    Args:
        value_range, bounds, channels, shape: as for `from_array`.
        part: of a file of several, see `isthmus.images.npz_keys`.

    Raises:
        DataError: not such a file, no images or no such part in it, pickled, lying about its size, class
            names that do not fit, or as `from_array`.
    """
    try:
        with open_input(path) as raw, zipfile.ZipFile(raw) as archive:
            array_names = [name.removesuffix(".npy") for name in archive.namelist()]
            keys = choose_keys(array_names, part, str(path))
            length = os.fstat(raw.fileno()).st_size
            images = _member(archive, keys.images, length)
            labels, classes = (
                None if key is None else _member(archive, key, length) for key in (keys.labels, keys.classes)
            )
    except DataError:
        raise
    except Exception as error:  # as above, and errors of zipfile on a damaged directory
        raise DataError(
            "{path}: not a readable .npz file ({reason})",
            id="data.npz-unreadable",
            path=path,
            reason=one_line(error),
        ) from None
    numbers, names, notes = _name_labels(labels, classes, str(path))
    image_set = from_array(
        images,
        numbers,
        value_range=value_range,
        bounds=bounds,
        channels=channels,
        shape=shape,
        source=str(path),
    )
    if len(keys.parts) > 1:
        other_parts = ", ".join(f"{path}:{part_key}" for part_key in keys.parts if part_key != keys.part)
        notes = (
            *notes,
            Message(
                "{path}: its part '{part}' is read; the others are {others}",
                id="reading.npz-part",
                path=str(path),
                part=keys.part,
                others=other_parts,
            ),
        )
    return replace(image_set, classes=names or image_set.classes, notes=image_set.notes + notes)


def _name_labels(
    labels: npt.NDArray[Any] | None, classes: npt.NDArray[Any] | None, path: str
) -> tuple[npt.NDArray[Any] | None, tuple[str, ...], tuple[str, ...]]:
    """Labels (N,) as numbers, the names of their classes (empty where there are none), and notes.

    Raises:
        DataError: fewer names than classes, or names that are not text.
    """
    if labels is None:
        return None, (), ()
    if labels.ndim == 2 and labels.shape[1] == 1:  # MedMNIST
        labels = labels[:, 0]
    if labels.ndim == 2:
        note = Message(
            "{path}: several labels per image ({labels} of each) are left out",
            id="reading.several-labels",
            path=path,
            labels=labels.shape[1],
        )
        return None, (), (note,)
    if labels.dtype.kind in "US":
        words = np.array([_as_text(label) for label in labels.tolist()])
        names, numbers = np.unique(words, return_inverse=True)
        return numbers.reshape(-1).astype(np.int64), tuple(names.tolist()), ()
    if classes is None:
        return labels, (), ()
    if classes.ndim != 1 or classes.dtype.kind not in "USiu":
        raise DataError(
            "{path}: class names must be (C,) text, not {dtype} {shape}",
            id="data.npz-classes-type",
            path=path,
            dtype=classes.dtype,
            shape=classes.shape,
        )
    if labels.size and labels.dtype.kind in "iu" and int(labels.max()) >= len(classes):
        raise DataError(
            "{path}: a label is {label}, and there are {classes} class names",
            id="data.npz-classes-count",
            path=path,
            label=int(labels.max()),
            classes=len(classes),
        )
    return labels, tuple(_as_text(label) for label in classes.tolist()), ()


def _as_text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _member(archive: zipfile.ZipFile, key: str, length: int) -> npt.NDArray[Any]:
    entry = archive.getinfo(f"{key}.npy")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"'{key}' is compressed in an unusual way")
    if entry.header_offset + entry.compress_size > length:
        raise ValueError(f"'{key}' is longer than the file")
    if entry.file_size > entry.compress_size * DEFLATE_LIMIT or entry.file_size > memory_bytes():
        raise ValueError(f"'{key}' promises {entry.file_size} bytes, which cannot be")
    with archive.open(entry) as stream:
        shape, dtype = _header(stream)
    if int(np.prod(shape, dtype=object)) * dtype.itemsize > entry.file_size:
        raise ValueError(f"'{key}' promises {shape} {dtype}, more than it holds")
    with archive.open(entry) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _four_dimensions(
    array: npt.NDArray[Any], source: str, channels: int | None
) -> tuple[Pixels, tuple[str, ...]]:
    """The array as (N, H, W, C), and notes about it."""
    shape = array.shape
    notes: tuple[str, ...] = ()
    if array.ndim == 2:
        array = array[None, :, :, None]
    elif array.ndim == 3:
        array = array[None] if shape[2] in (1, 3, 4, channels) else array[..., None]
        notes = () if array.shape[3] > 1 else note_gray_or_channels(shape)
    if array.ndim != 4:
        volumes = "; volumes are not read" if array.ndim == 5 else ""
        raise DataError(
            "{source}: images must be (N, H, W) or (N, H, W, C), not {shape}{volumes}",
            id="data.images-shape",
            source=source,
            shape=shape,
            volumes=volumes,
        )
    if 0 in array.shape:
        raise DataError(
            "{source}: no images in an array of shape {shape}",
            id="data.empty-array",
            source=source,
            shape=shape,
        )
    check_channels(array.shape, source, channels)
    return array, notes


def note_gray_or_channels(shape: tuple[int, ...]) -> tuple[str, ...]:
    """The note about three dimensions (N, H, W) that could as well be one image of W channels."""
    if not (5 <= shape[2] <= MAX_CHANNELS and 2 * shape[2] <= min(shape[:2])):
        return ()
    return (
        f"an array {shape} is read as {shape[0]} gray images of {shape[1]}×{shape[2]}; one image of "
        f"{shape[2]} channels is given as images[None], or read with channels={shape[2]}",
    )


def check_channels(shape: tuple[int, ...], source: str, channels: int | None) -> None:
    """Refuse (N, H, W, C) with more than 64 channels, or where most likely channels come first.

    Args:
        channels: the number of channels that is known to be right, or None.

    Raises:
        DataError: with the call that would help.
    """
    _, height, width, count = shape
    first = height <= 4 < width or height < min(width, count)
    move = "channels come last: np.moveaxis(images, 1, -1)"
    if count > MAX_CHANNELS:
        raise DataError(
            "{source}: {channels} channels in {shape}, not 1 to {most}",
            id="data.channels",
            hint=move if first and height <= MAX_CHANNELS else None,
            source=source,
            channels=count,
            shape=shape,
            most=MAX_CHANNELS,
        )
    if count > 4 and count != channels and first:
        raise DataError(
            "{source}: {shape} would be images of {height}×{width} pixels with {channels} channels",
            id="data.channels-first",
            hint=f"{move}; or isthmus.read(images, channels={count}) if they are",
            source=source,
            shape=shape,
            height=height,
            width=width,
            channels=count,
        )


def _sample_values(pixels: Pixels, source: str, value_range: Range | None, bounds: Range) -> Pixels:
    try:
        return to_samples(pixels, value_range, bounds=bounds)
    except UnreadablePixelsError as error:
        raise DataError(
            "{source}: {reason}", id="data.problem", hint=error.hint, source=source, reason=error
        ) from None
