"""What images can be told apart by: a model's features and code, and what they have to beat."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from isthmus.features.readout import Readout, features
from isthmus.images.batches import whole
from isthmus.images.store import ImageSet
from isthmus.metrics.subspace import principal_subspace
from isthmus.model.autoencoder import Autoencoder

Vectors = npt.NDArray[np.float32]
SEEN = ("features", "code", "pixels", "pca")
PCA_NUMBERS = 64
MOST_NUMBERS = 4096


@dataclass(frozen=True)
class Contender:
    """One way to see images as vectors.

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


def contenders(
    model: Autoencoder, readout: Readout, sets: Sequence[ImageSet], *, seen: Collection[str] = SEEN
) -> Iterator[Contender]:
    """Vectors of all sets: the model's features and its code, then pixels and PCA fitted on the first set.

    `seen` names those that are wanted.

    The code is left out where it has more than 4,096 numbers, and where it is what the readout reads anyway.
    """
    reading = readout.reading
    if "features" in seen:
        full = tuple(features(model, one, readout) for one in sets)
        yield Contender("features", full, tuple(_compacted(readout, one) for one in full))
        del full
    numbers = model.recipe.geometry.numbers(reading.size)
    if "code" in seen and reading.layer != "code" and numbers <= MOST_NUMBERS:
        codes = tuple(_codes(model, one, reading.size) for one in sets)
        centre, scale = codes[0].mean(0), max(float(codes[0].std()), 1e-6)
        codes = tuple((one - centre) / scale for one in codes)
        yield Contender("code", codes, tuple(_of_length_one(one) for one in codes))
        del codes
    if "pixels" not in seen and "pca" not in seen:
        return
    pixels = tuple(pixel_vectors(one, reading.size) for one in sets)
    centre = pixels[0].mean(0)
    scale = max(float(pixels[0].std()), 1e-6)
    centred = tuple((one - centre) / scale for one in pixels)
    if "pixels" in seen:
        yield Contender("pixels", centred, centred)
    if "pca" in seen:
        found = principal_subspace([torch.from_numpy(centred[0])], PCA_NUMBERS)
        codes = tuple(found.encode(torch.from_numpy(one)).numpy() for one in centred)
        yield Contender("pca", codes, codes)


def pixel_vectors(images: ImageSet, size: tuple[int, int]) -> Vectors:
    """`(N, H·W·C)` in [0, 1], every image resized to `size`."""
    parts = []
    for batch in whole(images, batch=256):
        shown = batch.images
        if tuple(shown.shape[-2:]) != size:
            shown = F.interpolate(shown, size, mode="bilinear", antialias=True, align_corners=False)
        parts.append(shown.flatten(1).numpy())
    return np.concatenate(parts)


def _codes(model: Autoencoder, images: ImageSet, size: tuple[int, int]) -> Vectors:
    parts = []
    with torch.no_grad():
        for batch in whole(images, batch=256):
            shown = batch.images
            if tuple(shown.shape[-2:]) != size:
                shown = F.interpolate(shown, size, mode="bilinear", antialias=True, align_corners=False)
            parts.append(model.encode_batch(shown).flatten(1).numpy())
    return np.concatenate(parts)


def _compacted(readout: Readout, standardised: Vectors) -> Vectors:
    parts = [readout.compacted(part) for part in torch.split(torch.from_numpy(standardised), 4096)]
    return torch.cat(parts).numpy()


def _of_length_one(rows: Vectors) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12), dtype=np.float32)
