"""PCA and the mean image as rivals of a model: fitted on its training images, shown what it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from isthmus.evaluation.passes import evenly, per_pass
from isthmus.images.batches import whole
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import PCA, Baseline, BlockPCA, MeanImage
from isthmus.model.autoencoder import Autoencoder

NUMBERS = 2**29  # pixel-channels a baseline is fitted on, evenly spaced images of larger sets


class Reconstructor(Protocol):
    """A baseline: what it makes of what the model saw."""

    def reconstruct(self, seen: Tensor) -> Tensor:
        """`(N, C, H, W)` → an image for each, in [0, 1]."""
        ...


@dataclass(frozen=True)
class Rival:
    """A fitted baseline and the one size it works at; None for any size."""

    baseline: Baseline
    size: tuple[int, int] | None

    def reconstruct(self, seen: Tensor) -> Tensor:
        """`(N, C, H, W)` → the same, in [0, 1]."""
        size = (seen.shape[-2], seen.shape[-1])
        if self.size is None or self.size == size:
            return self.baseline.reconstruct(seen)
        return resized(self.baseline.reconstruct(resized(seen, self.size)), size).clamp(0, 1)


def fit_rivals(model: Autoencoder, train: ImageSet, test: ImageSet, *, seed: int) -> dict[str, Rival]:
    """`pca` and `mean_image`, fitted on `train`.

    A vector code of C numbers meets PCA with C components at the model's size; a grid code C@s meets PCA of
    the s×s pieces with C components, at any size. The mean image stands at the images' size where all share
    one, else at the model's, and is resized.
    """
    geometry = model.recipe.geometry
    height, width = train.shape[:2] if train.shape is not None else model.size
    fitted = evenly(train, max(1, NUMBERS // (height * width * train.channels)))
    pca: Rival
    if geometry.stride is None:
        pca = Rival(PCA(geometry.channels, seed=seed).fit(_at(model.size, fitted)), model.size)
    else:
        pca = Rival(BlockPCA(geometry.stride, geometry.channels, seed=seed).fit(_at(None, fitted)), None)
    shared = geometry.is_grid and train.shape is not None and train.shape == test.shape
    size = (height, width) if shared else model.size
    return {"pca": pca, "mean_image": Rival(MeanImage().fit(_at(size, fitted)), size)}


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """`(N, C, H, W)` → `(N, C, *size)`, as the model itself resizes."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)


def _at(size: tuple[int, int] | None, images: ImageSet) -> Iterator[Tensor]:
    for batch in whole(images, batch=per_pass(images)):
        yield batch.images if size is None else resized(batch.images, size)
