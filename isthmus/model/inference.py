"""Passes of a model over whole sets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

BATCH_IMAGES = 128
Vectors = npt.NDArray[np.float32]


class Rows:
    """Vectors of images that arrive in parts; also after an interruption those that have arrived.

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
