"""A set of images in memory: pixels in their own type, names, labels, and content hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError
from isthmus.log import SkippedInput
from isthmus.wording import format_count

Pixels = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]

Skipped = SkippedInput

FLOAT_STEP = 1e-6  # float32 samples in [0, 1] that are nearer to one another are the same
SAMPLE_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))


@dataclass(frozen=True, eq=False)
class Ragged:
    """Images of any sizes in one flat buffer, which may be a memory map.

    Attributes:
        flat: (samples,) uint8, uint16 or float32.
        offsets: (N,) int64, where each image starts in `flat`.
        shapes: (N, 3) int64, height, width and channels of each image.
    """

    flat: Pixels
    offsets: Indices
    shapes: Indices

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Pixels:
        """Image `index` as (H, W, C), a view into the buffer."""
        height, width, channels = (int(n) for n in self.shapes[index])
        start = int(self.offsets[index])
        return self.flat[start : start + height * width * channels].reshape(height, width, channels)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.flat.dtype

    def subset(self, indices: Indices) -> Ragged:
        """The chosen images; the buffer is shared, not copied."""
        return Ragged(self.flat, self.offsets[indices], self.shapes[indices])


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """Images, their names and, where known, their labels.

    `images[3]` is one image (H, W, C); `images[2:5]`, `images[[1, 2]]` and `images[labels == 0]` are sets.

    Attributes:
        pixels: (N, H, W, C) uint8, uint16 or float32 in [0, 1]; a `Ragged` for mixed sizes, and for a part
            of a memory-mapped set. `image` and `stack` read both.
        names: one per image: its path relative to the folder, or its index.
        labels: (N,) int64 indices into `classes`, or None.
        classes: class names; empty without labels.
        source: DATA as the user gave it.
        skipped: broken inputs left out.
        notes: choices made in reading, one sentence each, for the user.
        target_channels: of pairs, how many of the last channels are the target; else 0.
        target_source: of pairs, the targets as the user gave them.
        groups: one per image; images of a group, such as a patient, are held out together; "" for none. Empty
            if no list names groups.

    Raises:
        DataError: another sample type, or names, groups or labels of another length.
    """

    pixels: Pixels | Ragged
    names: tuple[str, ...]
    labels: Indices | None = None
    classes: tuple[str, ...] = ()
    source: str = "array"
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    target_channels: int = 0
    target_source: str = ""
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.dtype not in SAMPLE_TYPES:
            raise DataError(
                "{source}: samples are {dtype}, not uint8, uint16 or float32",
                id="data.set-sample-type",
                source=self.source,
                dtype=self.pixels.dtype,
            )
        if not isinstance(self.pixels, Ragged) and self.pixels.ndim != 4:
            raise DataError(
                "{source}: images must be (N, H, W, C), not {shape}",
                id="data.set-shape",
                source=self.source,
                shape=self.pixels.shape,
            )
        if len(self.names) != len(self.pixels):
            raise DataError(
                "{source}: {images} but {names}",
                id="data.names-count",
                source=self.source,
                images=format_count(len(self.pixels), "image"),
                names=format_count(len(self.names), "name"),
            )
        if self.groups and len(self.groups) != len(self.pixels):
            raise DataError(
                "{source}: {images} but {groups}",
                id="data.groups-count",
                source=self.source,
                images=format_count(len(self.pixels), "image"),
                groups=format_count(len(self.groups), "group"),
            )
        if self.labels is not None and self.labels.shape != (len(self.pixels),):
            label_shape = "×".join(map(str, self.labels.shape))
            raise DataError(
                "{source}: {images} but {labels} labels",
                id="data.labels-shape",
                source=self.source,
                images=format_count(len(self.pixels), "image"),
                labels=label_shape,
            )

    def __len__(self) -> int:
        return len(self.pixels)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Pixels: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray[Any]) -> ImageSet: ...
    def __getitem__(self, index: Any) -> Pixels | ImageSet:
        """One image as (H, W, C), a view not to be written to; or, by slice, indices or mask (N,), a set.

        Raises:
            IndexError: there is no such image, or a mask of another length.
        """
        if isinstance(index, slice):
            return self.subset(np.arange(len(self), dtype=np.int64)[index])
        chosen = np.asarray(index)
        if chosen.dtype == np.bool_ and chosen.shape != (len(self),):
            raise IndexError(
                f"a mask for {format_count(len(self), 'image')} has another shape: {chosen.shape}"
            )
        if chosen.dtype == np.bool_:
            return self.subset(np.flatnonzero(chosen))
        if chosen.size == 0 and chosen.ndim == 1:
            return self.subset(np.empty(0, dtype=np.int64))
        if chosen.dtype.kind not in "iu" or chosen.ndim > 1:
            raise IndexError("images are chosen by a number, a slice, a list of numbers, or a mask")
        if chosen.min() < -len(self) or chosen.max() >= len(self):
            raise IndexError(f"image {index} of {format_count(len(self), 'image')}")
        if chosen.ndim == 0:
            return self.image(int(chosen) % len(self))
        return self.subset(chosen % len(self))

    def __iter__(self) -> Iterator[Pixels]:
        """Every image as (H, W, C), in order."""
        return (self.image(index) for index in range(len(self)))

    def __repr__(self) -> str:
        kinds = {1: "gray", 3: "colour"}
        size = "mixed sizes" if self.shape is None else f"{self.shape[0]}×{self.shape[1]}"
        facts = [format_count(len(self), "image")]
        if len(self):
            facts.append(f"{size} {kinds.get(self.channels, f'{self.channels} channels')}")
        facts.append(str(self.dtype))
        if self.labels is not None:
            facts.append(f"{len(self.classes)} classes")
        return f"ImageSet({self.source!r}: {', '.join(facts)})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the first images, and the line above."""
        from isthmus.images.thumbnails import thumbnails_html

        return thumbnails_html(self)

    @cached_property
    def shape(self) -> tuple[int, int, int] | None:
        """(H, W, C) of every image, or None when sizes are mixed."""
        if not isinstance(self.pixels, Ragged):
            _, height, width, channels = self.pixels.shape
            return height, width, channels
        shapes = self.pixels.shapes
        if len(shapes) == 0 or (shapes != shapes[0]).any():
            return None
        return int(shapes[0, 0]), int(shapes[0, 1]), int(shapes[0, 2])

    @property
    def channels(self) -> int:
        return int(self.pixels.shapes[0, 2] if isinstance(self.pixels, Ragged) else self.pixels.shape[3])

    @property
    def input_channels(self) -> int:
        """Channels of an image; of a pair those of its input."""
        return self.channels - self.target_channels

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pixels.dtype

    @property
    def memory_mapped(self) -> bool:
        """Whether the pixels lie in a file: read them in order where the order is free."""
        return isinstance(self.pixels.flat if isinstance(self.pixels, Ragged) else self.pixels, np.memmap)

    def image(self, index: int) -> Pixels:
        """Image `index` as (H, W, C) in the set's own sample type; a view, not to be written to."""
        return np.asarray(self.pixels[index])

    def stack(self, indices: Sequence[int] | Indices) -> Pixels:
        """The chosen images as one (n, H, W, C) array.

        Raises:
            DataError: sizes are mixed.
        """
        if self.shape is None:
            raise DataError(
                "{source}: images have different sizes, so they do not form one array",
                id="data.sizes-differ",
                source=self.source,
            )
        chosen = np.asarray(indices, dtype=np.int64)
        if not isinstance(self.pixels, Ragged):
            return np.asarray(self.pixels[chosen])
        result = np.empty((len(chosen), *self.shape), dtype=self.dtype)
        for row in np.argsort(chosen, kind="stable"):
            result[row] = self.pixels[int(chosen[row])]
        return result

    def subset(self, indices: Sequence[int] | Indices) -> ImageSet:
        """The chosen images in the order given. A memory-mapped set stays on disk."""
        chosen = np.asarray(indices, dtype=np.int64)
        pixels = self.pixels
        if not isinstance(pixels, Ragged) and isinstance(pixels, np.memmap):
            pixels = _as_ragged(pixels)
        part = replace(
            self,
            pixels=pixels.subset(chosen) if isinstance(pixels, Ragged) else pixels[chosen],
            names=tuple(self.names[i] for i in chosen),
            labels=None if self.labels is None else self.labels[chosen],
            groups=tuple(self.groups[i] for i in chosen) if self.groups else (),
        )
        if "_hashes" in self.__dict__:
            # Hashing reads every pixel, for a mapped set from the disk, so hashes are reused.
            part.__dict__["_hashes"] = self._hashes[chosen]
        return part

    def named(self, source: str) -> ImageSet:
        """The same images under the name that the user gave them."""
        return self._keeping_hashes(replace(self, source=source))

    def with_hashes(self, hashes: npt.NDArray[np.uint64]) -> ImageSet:
        """The same images, their content hashes known from when they were written to a file."""
        self.__dict__["_hashes"] = hashes
        return self

    def _keeping_hashes(self, same: ImageSet) -> ImageSet:
        return same.with_hashes(self._hashes) if "_hashes" in self.__dict__ else same

    def hashes(self) -> npt.NDArray[np.uint64]:
        """(N,) content hashes: BLAKE2b over sample type, shape and pixels; names and order play no part."""
        return self._hashes

    def fingerprint(self) -> str:
        """32 hex digits for the content of the whole set, the same in any order; computed once."""
        return self._fingerprint

    @cached_property
    def _hashes(self) -> npt.NDArray[np.uint64]:
        from isthmus.images.mapped import Meter

        result = np.empty(len(self), dtype=np.uint64)
        meter = Meter(self.pixels)
        for index in range(len(self)):
            image = self.image(index)
            result[index] = content_hash(image)
            meter.add(0, image.nbytes)  # in order: the system reads ahead
        return result

    @cached_property
    def _fingerprint(self) -> str:
        ordered = np.sort(self._hashes).astype("<u8")
        return hashlib.blake2b(ordered.tobytes(), digest_size=16).hexdigest()


def content_hash(image: Pixels) -> int:
    """64 bits of BLAKE2b over sample type, shape and pixels of one (H, W, C) image."""
    # Byte order is fixed so that a fingerprint recorded on one machine holds on every other.
    little = image.dtype.newbyteorder("<")
    digest = hashlib.blake2b(f"{little.str}{image.shape}".encode(), digest_size=8)
    digest.update(np.ascontiguousarray(image, dtype=little).data)
    return int.from_bytes(digest.digest(), "little")


def picture_hash(image: Pixels) -> int:
    """As `content_hash`, but the same for one picture as uint8, uint16 and float32."""
    if image.dtype == np.uint8:
        return content_hash(image)
    unit = image.astype(np.float64)
    if image.dtype.kind != "f":
        unit /= np.iinfo(image.dtype).max
    for dtype in (np.uint8, np.uint16):
        levels = np.rint(unit.clip(0, 1) * np.iinfo(dtype).max)
        if np.abs(levels / np.iinfo(dtype).max - unit).max(initial=0) < FLOAT_STEP:
            return content_hash(levels.astype(dtype))
    return content_hash(image)


def shape_images(flat: Pixels, shapes: Indices) -> Pixels | Ragged:
    """Images of `shapes (N, 3)` that follow one another in `flat`: one array where all have one size."""
    if len(shapes) and (shapes == shapes[0]).all():
        return flat.reshape(len(shapes), *(int(n) for n in shapes[0]))
    ends = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))]).astype(np.int64)
    return Ragged(flat, ends[:-1], shapes)


def _as_ragged(pixels: Pixels) -> Ragged:
    count, *shape = pixels.shape
    offsets = np.arange(count, dtype=np.int64) * int(np.prod(shape))
    return Ragged(pixels.reshape(-1), offsets, np.tile(np.array(shape, dtype=np.int64), (count, 1)))


def side_range(images: ImageSet) -> tuple[tuple[int, int], tuple[int, int]]:
    """The smallest and the largest height and width in pixels."""
    if images.shape is not None:
        side = (images.shape[0], images.shape[1])
        return side, side
    assert isinstance(images.pixels, Ragged)
    low, high = images.pixels.shapes.min(0).tolist(), images.pixels.shapes.max(0).tolist()
    return (low[0], low[1]), (high[0], high[1])
