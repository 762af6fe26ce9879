"""Images read for a model, and passes of a model over whole sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.images.batches import iter_batches
from isthmus.images.conform import conform, is_gray
from isthmus.images.reading import read_expected
from isthmus.images.sample_range import Range
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.model.autoencoder import Autoencoder

GRAY_STORED_AS_RGB = Message(
    "gray, stored as RGB: one of the equal channels is read", id="reading.gray-stored-as-rgb"
)


def read_for(model: Autoencoder, data: Any, *, range: Range | None = None, targets: bool = False) -> ImageSet:
    """Images with the model's number of channels; gray is repeated for a colour model.

    RGB images of which all channels are equal are gray, and a gray model reads them as such.

    Args:
        range: the samples that stand for black and white, see `isthmus.read`.
        targets: with the number of channels of the images that the model gives instead.

    Raises:
        DataError: unreadable, or colour images for a gray model: gray would no longer be the images as given.
    """
    channels = model.output_channels if targets else model.channels
    return fit_channels(read_expected(data, channels, range=range), channels)


def fit_channels(images: ImageSet, channels: int) -> ImageSet:
    """The images with the channels that a model reads; gray is repeated for a colour model.

    Raises:
        DataError: colour images for a gray model, or other numbers of channels.
    """
    if images.channels == channels:
        return images
    if images.channels == 1 and channels == 3:
        note = Message(
            "the images are gray and the model reads colour: gray is repeated in all channels",
            id="reading.gray-repeated",
        )
        return replace(conform(images, size=None, channels=3), notes=(*images.notes, note))
    if channels == 1 and all(is_gray(images.image(index)) for index in range(len(images))):
        notes = (*images.notes, GRAY_STORED_AS_RGB)
        return replace(conform(images, size=None, channels=1), notes=notes)
    kinds = {1: "gray", 3: "RGB"}
    wants, has = (kinds.get(n, f"{n}-channel") for n in (channels, images.channels))
    raise DataError(
        "{source} has {given} images and the model reads {expected} ones",
        id="model.channels",
        hint="a model trained on images of this kind, or gray copies of them for a gray model",
        source=images.source,
        given=has,
        expected=wants,
    )


BATCH_IMAGES = 128
Vectors = npt.NDArray[np.float32]


class Rows:
    """Vectors of images, added in parts; after an interruption those that were added.

    Args:
        count: number of images.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._rows: Vectors | None = None

    def __len__(self) -> int:
        """How many have arrived."""
        return self._done

    def add(self, part: Vectors) -> None:
        """The next rows `(n, d)`."""
        if self._rows is None:
            self._rows = np.empty((self._count, part.shape[1]), dtype=np.float32)
        self._rows[self._done : self._done + len(part)] = part
        self._done += len(part)

    @property
    def array(self) -> Vectors:
        """`(len(self), d)` float32, at least one row."""
        assert self._rows is not None
        return self._rows[: self._done]


@torch.no_grad()
def iter_codes(model: Autoencoder, images: ImageSet) -> Iterator[Vectors]:
    """`(n, d)` float32 in parts: the code of each image, flat.

    Raises:
        DataError: grid codes of images of different sizes, which have different lengths.
    """
    if model.recipe.geometry.is_grid and images.shape is None:
        raise DataError(
            "{source}: images of different sizes have grid codes of different lengths",
            id="model.grid-codes-differ",
            source=images.source,
        )
    for batch in iter_batches(images, batch=BATCH_IMAGES):
        yield model.encode_batch(batch.images).flatten(1).numpy()


def encode_set(model: Autoencoder, images: ImageSet) -> Vectors:
    """`(N, d)` float32: the code of each image, flat; raises as `iter_codes`."""
    rows = Rows(len(images))
    for part in iter_codes(model, images):
        rows.add(part)
    return rows.array
