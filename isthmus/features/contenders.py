"""Sets of features to compare images by: a model's features and code, and baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from isthmus.features.readout import FeatureExtractor, extract_features
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.tensors import resize_images

Vectors = npt.NDArray[np.float32]
FEATURE_KINDS = ("features", "code", "pixels", "pca")
PCA_DIMENSIONS = 64
MAX_CODE_NUMBERS = 4096


@dataclass(frozen=True)
class FeatureSet:
    """One way to represent images as vectors.

    Attributes:
        name: `features`, `code`, `pca` or `pixels`.
        sets: for each set of images `(n, D)`, for a linear probe.
        compact: for each set `(n, d)`, for distances.
    """

    name: str
    sets: tuple[Vectors, ...]
    compact: tuple[Vectors, ...]

    @property
    def numbers(self) -> int:
        return int(self.sets[0].shape[1])


def feature_sets(
    model: Autoencoder,
    readout: FeatureExtractor,
    sets: Sequence[ImageSet],
    *,
    kinds: Collection[str] = FEATURE_KINDS,
) -> Iterator[FeatureSet]:
    """Vectors of all sets: the model's features and its code, then pixels and PCA fitted on the first set.

    `kinds` names those that are wanted.

    The code is left out where it has more than 4,096 numbers, and where it is what the readout reads anyway.
    """
    reading = readout.reading
    if "features" in kinds:
        full = tuple(extract_features(model, images, readout) for images in sets)
        yield FeatureSet("features", full, tuple(_compact(readout, rows) for rows in full))
        del full
    numbers = model.recipe.geometry.numbers(reading.size)
    if "code" in kinds and reading.layer != "code" and numbers <= MAX_CODE_NUMBERS:
        codes = tuple(_encode_resized(model, images, reading.size) for images in sets)
        centre, scale = codes[0].mean(0), max(float(codes[0].std()), 1e-6)
        codes = tuple((rows - centre) / scale for rows in codes)
        yield FeatureSet("code", codes, tuple(_normalise_rows(rows) for rows in codes))
        del codes
    if "pixels" not in kinds and "pca" not in kinds:
        return
    pixels = tuple(pixel_vectors(images, reading.size) for images in sets)
    centre = pixels[0].mean(0)
    scale = max(float(pixels[0].std()), 1e-6)
    centred = tuple((rows - centre) / scale for rows in pixels)
    if "pixels" in kinds:
        yield FeatureSet("pixels", centred, centred)
    if "pca" in kinds:
        subspace = principal_subspace([torch.from_numpy(centred[0])], PCA_DIMENSIONS)
        codes = tuple(subspace.encode(torch.from_numpy(rows)).numpy() for rows in centred)
        yield FeatureSet("pca", codes, codes)


def pixel_vectors(images: ImageSet, size: tuple[int, int]) -> Vectors:
    """`(N, H·W·C)` in [0, 1], every image resized to `size`."""
    batches = iter_batches(images, batch=256)
    return np.concatenate([resize_images(batch.images, size).flatten(1).numpy() for batch in batches])


def _encode_resized(model: Autoencoder, images: ImageSet, size: tuple[int, int]) -> Vectors:
    parts = []
    with torch.no_grad():
        for batch in iter_batches(images, batch=256):
            codes = model.encode_batch(resize_images(batch.images, size))
            parts.append(codes.flatten(1).numpy())
    return np.concatenate(parts)


def _compact(readout: FeatureExtractor, standardised: Vectors) -> Vectors:
    parts = [readout.compact(part) for part in torch.split(torch.from_numpy(standardised), 4096)]
    return torch.cat(parts).numpy()


def _normalise_rows(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12), dtype=np.float32)
