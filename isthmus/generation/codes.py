"""Codes as plain numbers: of whole sets of images, and made possible again after somebody changed them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import CapabilityError, UsageError
from isthmus.images.array_format import to_batch
from isthmus.images.batches import iter_batches
from isthmus.images.conform import conform
from isthmus.images.store import ImageSet
from isthmus.model import capabilities
from isthmus.model.attachment_check import check_values
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import read_for
from isthmus.model.tensors import PIXELS_PER_PASS

_BATCH = 256
_DETAIL_SEED = 0x64657461  # that detail is not drawn from the numbers that its code was drawn from


def check_generates(model: Autoencoder) -> None:
    """Raises:
    CapabilityError: the model has no way from the code alone to an image, or its codes are discrete: a prior
        over real numbers says nothing about those.
    """
    capabilities.check_use(model.recipe, "generate")
    if model.recipe.bottleneck.is_discrete:
        raise CapabilityError(
            "this model cannot generate: its {bottleneck} codes are discrete, and the priors here "
            "are over real numbers",
            id="generation.discrete-code",
            bottleneck=model.recipe.bottleneck.kind,
        )


def convert_for_model(model: Autoencoder, images: ImageSet) -> ImageSet:
    """The images with the model's channels and, where the code is a vector or sizes are mixed, its size.

    Raises:
        DataError: colour images for a gray model.
    """
    images = read_for(model, images)
    one_size = images.shape is None or not model.recipe.geometry.is_grid
    return conform(images, size=model.size if one_size else None, channels=None)


def encode_images(model: Autoencoder, images: ImageSet) -> Tensor:
    """`(N, C)` or `(N, C, h, w)` float32: the deterministic codes of all images, in their order.

    Raises:
        DataError: colour images for a gray model, or none at all.
    """
    return encode_converted(model, convert_for_model(model, images))


@torch.no_grad()
def encode_converted(model: Autoencoder, images: ImageSet) -> Tensor:
    """Codes as by `encode_images`, of images of one size, whatever that is, with the model's channels."""
    assert images.shape is not None
    device = next(model.parameters()).device
    pixels = images.shape[0] * images.shape[1] * images.shape[2]
    batch = max(1, min(_BATCH, PIXELS_PER_PASS // pixels))
    return torch.cat(
        [
            check_values(model.encode_batch(part.images.to(device)).cpu())
            for part in iter_batches(images, batch=batch)
        ]
    )


@torch.no_grad()
def encode_image(model: Autoencoder, image: Any) -> tuple[Tensor, Tensor]:
    """One image of any kind that `encode` takes, as `(1, C, H, W)`, and its code.

    Raises:
        UsageError: several images, or with other channels than the model reads.
    """
    batch, _ = to_batch(image, channels=model.channels)
    if len(batch) != 1:
        raise UsageError("expected one image, not {images}", id="generation.one-image", images=len(batch))
    if batch.shape[1] != model.channels:
        raise UsageError(
            "the image has {channels} channels and the model reads {expected}",
            id="generation.channels",
            channels=batch.shape[1],
            expected=model.channels,
        )
    return batch, model.encode_batch(batch.to(next(model.parameters()).device)).cpu()


@torch.no_grad()
def iter_decoded(
    model: Autoencoder, values: Tensor, size: tuple[int, int], *, seed: int | None = None
) -> Iterator[Tensor]:
    """Codes → images `(n, C, *size)` in [0, 1], in passes of bounded size, one after another.

    Args:
        seed: of what a decoder that samples draws for each image; without it all are made of the same noise.
    """
    device = next(model.parameters()).device
    values = model.bottleneck.project(values).to(device)
    generator = None if seed is None else torch.Generator(device=device).manual_seed(seed ^ _DETAIL_SEED)
    batch = max(1, min(_BATCH, PIXELS_PER_PASS // max(1, model.channels * size[0] * size[1])))
    for part in torch.split(values, batch):
        yield model.decode_batch(part, size, generator).cpu()


def decode_codes(
    model: Autoencoder, values: Tensor, size: tuple[int, int], *, seed: int | None = None
) -> Tensor:
    """Codes → images `(N, C, *size)` in [0, 1]; see `iter_decoded`."""
    return torch.cat(list(iter_decoded(model, values, size, seed=seed)))
