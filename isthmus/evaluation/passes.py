"""One deterministic pass of a model over a set: images, corrupted inputs, outputs.

A corruption is drawn from a generator seeded by (seed, first image of the batch), so the same call always
shows the model the same corrupted images, and single images can be shown again later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet, Indices
from isthmus.images.subsets import sample_evenly
from isthmus.metrics.baselines import PCA, Baseline, BlockPCA, MeanImage
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.tensors import resize_images
from isthmus.model.trace import Trace

MAX_IMAGES_PER_PASS = 256

MAX_PIXELS_PER_PASS = 2**22  # pixel-channels per pass


@dataclass(frozen=True)
class EvaluationBatch:
    """One batch.

    Attributes:
        indices: `(N,)` which images of the set.
        images: `(N, C, H, W)` as given, in [0, 1]; of pairs the targets.
        corrupted: `(N, C, H, W)` what the encoder saw, at the images' size, clipped to [0, 1].
        output: `(N, C, H, W)` the reconstruction, in [0, 1].
        trace: the pass itself, at the size that the model works at; its code is deterministic.
        resized: whether that is another size than the images'.
    """

    indices: Indices
    images: Tensor
    corrupted: Tensor
    output: Tensor
    trace: Trace
    resized: bool


def iter_passes(
    model: Autoencoder,
    images: ImageSet,
    *,
    corruption: axes.Corruption,
    seed: int,
    only: Indices | None = None,
) -> Iterator[EvaluationBatch]:
    """Every batch of the set in order; with `only`, just the batches that hold one of these images."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for batch in iter_batches(images, batch=images_per_pass(images)):
            if only is not None and not np.isin(batch.indices, only).any():
                continue
            targets = batch.images.to(device)
            size = (targets.shape[-2], targets.shape[-1])
            generator = batch_generator(seed, int(batch.indices[0]), device)
            with torch.no_grad():
                trace = model.trace(model.canvas.fit(targets), generator, sample=False, corruption=corruption)
            output = model.canvas.restore(trace.output.detach().clamp(0, 1), size)
            corrupted = model.canvas.restore(trace.corrupted.input.detach().clamp(0, 1), size)
            resized = trace.images.shape[-2:] != targets.shape[-2:]
            targets = targets[:, -images.target_channels :] if images.target_channels else targets
            yield EvaluationBatch(batch.indices, targets, corrupted, output, trace, resized)
    finally:
        model.train(was_training)


def batch_generator(seed: int, first: int, device: torch.device) -> torch.Generator:
    """Randomness of the batch that begins with image `first`."""
    mixed = np.random.SeedSequence([seed % 2**63, first]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(mixed) >> 1)


def images_per_pass(images: ImageSet) -> int:
    """Images per pass, so that memory stays bounded by `MAX_FIT_PIXELS`."""
    height, width = largest_size(images)
    return max(1, min(MAX_IMAGES_PER_PASS, MAX_PIXELS_PER_PASS // (height * width * images.channels)))


def largest_size(images: ImageSet) -> tuple[int, int]:
    """The greatest height and the greatest width in the set."""
    if images.shape is not None:
        return images.shape[0], images.shape[1]
    shapes = np.array([images.image(index).shape for index in range(len(images))])
    return int(shapes[:, 0].max()), int(shapes[:, 1].max())


MAX_FIT_NUMBERS = 2**29  # pixel-channels a baseline is fitted on, evenly spaced images of larger sets


class Reconstructor(Protocol):
    """A baseline: its output for the model's input."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → an image for each, in [0, 1]."""
        ...


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline and the one size it works at; None for any size."""

    baseline: Baseline
    size: tuple[int, int] | None

    def reconstruct(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → the same, in [0, 1]."""
        size = (images.shape[-2], images.shape[-1])
        if self.size is None or self.size == size:
            return self.baseline.reconstruct(images)
        return resize_images(self.baseline.reconstruct(resize_images(images, self.size)), size).clamp(0, 1)


def fit_baselines(
    model: Autoencoder, train: ImageSet, test: ImageSet, *, seed: int
) -> dict[str, FittedBaseline]:
    """`pca` and `mean_image`, fitted on `train`.

    A vector code of C numbers meets PCA with C components at the model's size; a grid code C@s meets PCA of
    the s×s pieces with C components, at any size. The mean image stands at the images' size where all share
    one, else at the model's, and is resized.
    """
    geometry = model.recipe.geometry
    height, width = train.shape[:2] if train.shape is not None else model.size
    fitted = sample_evenly(train, max(1, MAX_FIT_NUMBERS // (height * width * train.channels)))
    pca: FittedBaseline
    if geometry.stride is None:
        pca = FittedBaseline(
            PCA(geometry.channels, seed=seed).fit(_iter_resized(model.size, fitted)), model.size
        )
    else:
        pca = FittedBaseline(
            BlockPCA(geometry.stride, geometry.channels, seed=seed).fit(_iter_resized(None, fitted)), None
        )
    shared = geometry.is_grid and train.shape is not None and train.shape == test.shape
    size = (height, width) if shared else model.size
    return {"pca": pca, "mean_image": FittedBaseline(MeanImage().fit(_iter_resized(size, fitted)), size)}


def _iter_resized(size: tuple[int, int] | None, images: ImageSet) -> Iterator[Tensor]:
    for batch in iter_batches(images, batch=images_per_pass(images)):
        yield batch.images if size is None else resize_images(batch.images, size)
