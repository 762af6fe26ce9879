"""Passes of a model over whole sets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.images.batches import whole
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

BATCH_IMAGES = 128


def encode_set(model: Autoencoder, images: ImageSet) -> npt.NDArray[np.float32]:
    """`(N, d)` float32: the code of each image, flat.

    Raises:
        DataError: grid codes of images of different sizes, which have different lengths.
    """
    if model.recipe.geometry.is_grid and images.shape is None:
        raise DataError(
            "{source}: images of different sizes have grid codes of different lengths",
            id="model.grid-codes-differ",
            source=images.source,
        )
    with torch.no_grad():
        batches = whole(images, batch=BATCH_IMAGES)
        return np.concatenate([model.encode_batch(b.images).flatten(1).numpy() for b in batches])
