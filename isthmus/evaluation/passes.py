"""One deterministic pass of a model over a set: what went in, what was seen, what came out.

A corruption is drawn from a generator seeded by (seed, first image of the batch), so the same call always
shows the model the same corrupted images, and single images can be shown again later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.images.batches import whole
from isthmus.images.store import ImageSet, Indices
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Trace

IMAGES = 256
PIXELS = 2**22  # pixel-channels per pass


@dataclass(frozen=True)
class Pass:
    """One batch.

    Attributes:
        indices: `(N,)` which images of the set.
        images: `(N, C, H, W)` as given, in [0, 1]; of pairs the targets.
        seen: `(N, C, H, W)` what the encoder saw, at the images' size, clipped to [0, 1].
        output: `(N, C, H, W)` the reconstruction, in [0, 1].
        trace: the pass itself, at the size that the model works at; its code is deterministic.
        resized: whether that is another size than the images'.
    """

    indices: Indices
    images: Tensor
    seen: Tensor
    output: Tensor
    trace: Trace
    resized: bool


def passes(
    model: Autoencoder,
    images: ImageSet,
    *,
    corruption: axes.Corruption,
    seed: int,
    only: Indices | None = None,
) -> Iterator[Pass]:
    """Every batch of the set in order; with `only`, just the batches that hold one of these images."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for batch in whole(images, batch=per_pass(images)):
            if only is not None and not np.isin(batch.indices, only).any():
                continue
            given = batch.images.to(device)
            size = (given.shape[-2], given.shape[-1])
            generator = batch_generator(seed, int(batch.indices[0]), device)
            with torch.no_grad():
                trace = model.trace(model.to_canvas(given), generator, sample=False, corruption=corruption)
            output = model.from_canvas(trace.output.detach().clamp(0, 1), size)
            seen = model.from_canvas(trace.corrupted.input.detach().clamp(0, 1), size)
            resized = trace.images.shape[-2:] != given.shape[-2:]
            given = given[:, -images.target_channels :] if images.target_channels else given
            yield Pass(batch.indices, given, seen, output, trace, resized)
    finally:
        model.train(was_training)


def batch_generator(seed: int, first: int, device: torch.device) -> torch.Generator:
    """Randomness of the batch that begins with image `first`."""
    mixed = np.random.SeedSequence([seed % 2**63, first]).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(mixed) >> 1)


def per_pass(images: ImageSet) -> int:
    """Images per pass, so that memory stays bounded by `PIXELS`."""
    height, width = largest(images)
    return max(1, min(IMAGES, PIXELS // (height * width * images.channels)))


def largest(images: ImageSet) -> tuple[int, int]:
    """The greatest height and the greatest width in the set."""
    if images.shape is not None:
        return images.shape[0], images.shape[1]
    shapes = np.array([images.image(index).shape for index in range(len(images))])
    return int(shapes[:, 0].max()), int(shapes[:, 1].max())


def evenly(images: ImageSet, most: int | None) -> ImageSet:
    """At most `most` images, evenly spaced, so that a set ordered by class keeps all of them."""
    if most is None or most >= len(images):
        return images
    return images.subset(np.linspace(0, len(images) - 1, most).round().astype(np.int64))
