"""Features of the parts of an image: what a readout's layer answers around each place of a coarse grid."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from isthmus.features.readout import FeatureExtractor, iter_pooled
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

GRID_SIDE = 5  # places per side of the grid


def extract_local(
    model: Autoencoder, readout: FeatureExtractor, images: ImageSet, *, side: int = GRID_SIDE
) -> npt.NDArray[np.float32]:
    """`(N, side², K)` float32: the layer's rectified answers, averaged over each cell of a grid.

    A layer of vectors has no places: it gives `(N, 1, K)`.
    """
    reading = dataclasses.replace(readout.reading, pool=(side,))
    batches: list[npt.NDArray[np.float32]] = []
    for pooled in iter_pooled(model, images, reading):
        signs = 2 if reading.rectify == "signs" else 1
        channels = pooled.shape[1] // (signs * side**2)
        parts = pooled.view(len(pooled), signs * channels, side**2).transpose(1, 2)
        if reading.layer == "code" and not model.recipe.geometry.is_grid:
            parts = parts[:, :1]
        batches.append(parts.contiguous().numpy())
    return np.concatenate(batches) if batches else np.empty((0, side**2, 0), dtype=np.float32)
