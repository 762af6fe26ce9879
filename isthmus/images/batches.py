"""Batches for training and for evaluation, by whole-batch indexing of the set's own memory.

The training stream has no state: the batch of step t follows from (seed, t) alone, so a resumed run gets
exactly the batches of an unbroken one. Random numbers are NumPy's Philox (Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", 2011), keyed by the seed and the epoch or step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from isthmus.errors import DataError, UsageError
from isthmus.images.mapped import Meter
from isthmus.images.store import ImageSet, Indices, Pixels, Ragged
from isthmus.wording import format_count

# Separate streams under one key: the high word of Philox's counter.
_EPOCH_ORDER, _CLASS_DRAWS, _CROP_OFFSETS, _TURNS = 0, 1, 2, 3


@dataclass(frozen=True)
class Batch:
    """(N, C, H, W) float32 images in [0, 1], channels-last; (N,) int64 labels or None; (N,) which images.

    `part` of `total`: where these images stand among those of the whole step, when it is shared by processes.
    """

    images: torch.Tensor
    labels: torch.Tensor | None
    indices: Indices
    part: slice
    total: int


class Batches:
    """The endless, seekable stream of training batches: `Batches(images, batch=64, seed=0)(step)`.

    Step t holds positions [t·B, (t+1)·B) of one permutation of the set after another. A batch as large as the
    set is the whole set in its own order at every step (full-batch descent); with crops a larger batch holds
    several crops of each image.

    Args:
        images: the set.
        batch: images per step.
        seed: with the step, decides everything.
        crop: (h, w) cut at a random place out of each image; smaller images are padded by reflection. Needed
            where sizes are mixed.
        balance: draw a class first, all classes alike, then an image of it, with replacement.
        orientations: 2 mirrors each example left to right at random; 8 also turns it by quarters, or by half
            turns where it is not square.
        share: (i, n) reads only the i-th of n parts of every batch. The parts together are, image by image
            and crop by crop, the batch that one process would read.
        drawn: which images step t holds, instead of this order; there may be none.

    Raises:
        DataError: no images; mixed sizes without `crop`; `balance` without labels.
        UsageError: `batch` or `crop` below 1; a batch of fewer images than parts.
    """

    def __init__(
        self,
        images: ImageSet,
        *,
        batch: int,
        seed: int,
        crop: tuple[int, int] | None = None,
        balance: bool = False,
        orientations: Literal[1, 2, 8] = 1,
        share: tuple[int, int] = (0, 1),
        drawn: Callable[[int], Indices] | None = None,
    ) -> None:
        _check(images, batch, crop)
        at_once = batch if crop is not None or balance else min(batch, len(images))
        if at_once < share[1]:
            raise UsageError(
                "{processes} processes cannot share steps of {images}",
                id="data.processes-per-step",
                processes=share[1],
                images=format_count(at_once, "image"),
            )
        if images.shape is None and crop is None:
            problem = "images have different sizes: give a size, or a crop"
            raise DataError("{source}: {reason}", id="data.problem", source=images.source, reason=problem)
        if balance and images.labels is None:
            raise DataError(
                "{source}: balanced batches need labels, and there are none",
                id="data.balance-without-labels",
                source=images.source,
            )
        self.images = images
        self.batch = batch
        self.seed = seed
        self.crop = crop
        self.balance = balance
        self.orientations = orientations
        self.share = share
        self.drawn = drawn
        self._meter = Meter(images.pixels)
        self._orders: dict[int, Indices] = {}
        if images.labels is not None:
            self._by_class: Indices = np.argsort(images.labels, kind="stable")
            ordered = images.labels[self._by_class]
            _, self._starts, self._counts = np.unique(ordered, return_index=True, return_counts=True)

    def __call__(self, step: int) -> Batch:
        """The batch of step `step`, counted from 0, or this process's part of it."""
        indices = self.indices(step)
        offsets = None
        if self.crop is not None:
            offsets = self._random(step, _CROP_OFFSETS).random((len(indices), 2))
        turns = None
        if self.orientations > 1:
            turns = self._random(step, _TURNS).integers(self.orientations, size=len(indices))
        part = share_of(len(indices), *self.share)
        samples = _gather_batch(
            self.images,
            indices[part],
            self.crop,
            None if offsets is None else offsets[part],
            None if turns is None else turns[part],
        )
        self._meter.add(len(samples.indices), samples.images.nbytes)
        return replace(samples, part=part, total=len(indices))

    def indices(self, step: int) -> Indices:
        """Which images step `step` holds over all parts, in their order; (B,) int64."""
        if self.drawn is not None:
            return self.drawn(step)
        if self.balance:
            return self._balanced(step)
        count = len(self.images)
        if self.batch == count or (self.batch > count and self.crop is None):
            return np.arange(count)
        epoch, place = divmod(step * self.batch, count)
        if place + self.batch <= count:
            return self._order(epoch)[place : place + self.batch]
        positions = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs, places = np.divmod(positions, count)
        return np.concatenate([self._order(int(e))[places[epochs == e]] for e in np.unique(epochs)])

    def _order(self, epoch: int) -> Indices:
        if epoch not in self._orders:
            # A running stream only moves forwards: orders older than the previous one are not requested.
            self._orders = {e: order for e, order in self._orders.items() if e == epoch - 1}
            self._orders[epoch] = self._random(epoch, _EPOCH_ORDER).permutation(len(self.images))
        return self._orders[epoch]

    def _balanced(self, step: int) -> Indices:
        random = self._random(step, _CLASS_DRAWS)
        classes = random.integers(len(self._counts), size=self.batch)
        within = (random.random(self.batch) * self._counts[classes]).astype(np.int64)
        return np.asarray(self._by_class[self._starts[classes] + within])

    def _random(self, number: int, stream: int) -> np.random.Generator:
        key = np.array([self.seed % 2**64, number], dtype=np.uint64)
        counter = np.array([0, 0, 0, stream], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


def share_of(count: int, number: int, parts: int) -> slice:
    """The `number`-th of `parts` nearly equal parts of `count` things."""
    return slice(count * number // parts, count * (number + 1) // parts)


def iter_batches(
    images: ImageSet,
    indices: Sequence[int] | Indices | None = None,
    *,
    batch: int,
    crop: tuple[int, int] | None = None,
) -> Iterator[Batch]:
    """Every image once, in order (or those of `indices`), in batches of at most `batch`.

    Args:
        crop: (h, w) cut out of the centre; smaller images are padded by reflection. Without it images of
            mixed sizes come whole, neighbours of equal size together.

    Raises:
        DataError: no images.
        UsageError: `batch` or `crop` below 1.
    """
    _check(images, batch, crop)
    chosen = np.arange(len(images)) if indices is None else np.asarray(indices, dtype=np.int64)
    start = 0
    meter = Meter(images.pixels)
    while start < len(chosen):
        part = chosen[start : start + batch]
        if images.shape is None and crop is None:
            assert isinstance(images.pixels, Ragged)  # only a Ragged has no common shape
            sizes = images.pixels.shapes[part]
            other = np.flatnonzero((sizes != sizes[0]).any(axis=1))
            part = part[: other[0]] if len(other) else part
        centre = None if crop is None else np.full((len(part), 2), 0.5)
        next_batch = _gather_batch(images, part, crop, centre)
        yield next_batch
        meter.add(0, next_batch.images.nbytes)
        start += len(part)


def _gather_batch(
    images: ImageSet,
    indices: Indices,
    crop: tuple[int, int] | None,
    offsets: Pixels | None,
    turns: Indices | None = None,
) -> Batch:
    shape = images.shape
    samples: Pixels
    if crop is not None and offsets is not None and (shape is None or shape[:2] != crop):
        samples = _crops(images, indices, crop, offsets)
    elif shape is None:
        samples = np.stack([images.image(int(i)) for i in indices])
    elif images.memory_mapped:
        order = np.argsort(indices, kind="stable")  # disks read forwards best
        samples = np.empty((len(indices), *shape), dtype=images.dtype)
        samples[order] = images.stack(indices[order])
    else:
        samples = images.stack(indices)
    if turns is not None and len(turns):
        samples = np.stack([_turned(sample, int(t)) for sample, t in zip(samples, turns, strict=True)])
    labels = None if images.labels is None else torch.from_numpy(images.labels[indices])
    return Batch(_scaled(samples), labels, indices, slice(0, len(indices)), len(indices))


def _crops(images: ImageSet, indices: Indices, crop: tuple[int, int], offsets: Pixels) -> Pixels:
    height, width = crop
    result = np.empty((len(indices), height, width, images.channels), dtype=images.dtype)
    for row in np.argsort(indices, kind="stable"):
        image = images.image(int(indices[row]))
        free_h, free_w = image.shape[0] - height, image.shape[1] - width
        top = int(offsets[row, 0] * (max(free_h, 0) + 1))
        left = int(offsets[row, 1] * (max(free_w, 0) + 1))
        part = image[top : top + height, left : left + width]
        result[row] = part if min(free_h, free_w) >= 0 else _padded(part, height, width)
    return result


def _turned(image: Pixels, way: int) -> Pixels:
    """One of the eight symmetries of a square; of a rectangle, one of its four."""
    quarters = way // 2 if image.shape[0] == image.shape[1] else way // 4 * 2
    turned: Pixels = np.rot90(image, quarters)
    return turned[:, ::-1] if way % 2 else turned


def _padded(image: Pixels, height: int, width: int) -> Pixels:
    """Pad (h, w, C) to (height, width, C) by reflection, evenly on both sides; one pixel is repeated."""
    missing = height - image.shape[0], width - image.shape[1]
    return np.pad(image, (*((n // 2, n - n // 2) for n in missing), (0, 0)), mode="reflect")


def _scaled(samples: Pixels) -> torch.Tensor:
    """(N, H, W, C) uint8, uint16 or float32 -> (N, C, H, W) float32 in [0, 1], channels-last strides."""
    if samples.dtype != np.float32:
        # NumPy, not torch: one thread is enough here, and where other programs share the cores torch's
        # threads wait for each other a hundred times longer than this takes. Division, not a product with
        # the reciprocal, gives exactly 1 for the brightest value.
        samples = np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32)
    return torch.from_numpy(samples).permute(0, 3, 1, 2)


def _check(images: ImageSet, batch: int, crop: tuple[int, int] | None) -> None:
    if len(images) == 0:
        raise DataError("{source}: no images to make batches of", id="data.no-images", source=images.source)
    if batch < 1 or (crop is not None and min(crop) < 1):
        raise UsageError(
            "batch and crop must be at least 1, not {batch} and {crop}",
            id="data.batch-and-crop",
            batch=batch,
            crop=crop,
        )
