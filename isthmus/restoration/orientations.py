"""The mean of what a network makes of an image in its eight orientations (Lim et al. 2017, "Enhanced deep
residual networks for single image super-resolution", section 3.4): better, in eight times the time.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.machine import multiplies_bfloat16
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted

ORIENTATIONS = 8  # four quarter turns, of the image and of its mirror image


def check_ensemble(network: Autoencoder) -> None:
    """Raises:
    UsageError: the network was taught images one way up only.
    """
    if not network.summary.get("options", {}).get("turn"):
        raise UsageError(
            "an ensemble turns the image, and this model was trained on images one way up",
            id="restoration.one-way-up",
            hint=Hint.call("train", "DATA", recipe=network.recipe.name, augment_orientations=True),
        )


def reconstruct(network: Autoencoder, images: Tensor, seen: Corrupted | None, *, ensemble: bool) -> Tensor:
    """`network.reconstruct_batch` of `(N, C, H, W)`, or its mean over all orientations.

    Its convolutions run in bfloat16 where the device multiplies it. What they compute is the difference from
    the input, which is added in float32, so that this costs at most some hundredths of a decibel.
    """
    narrow = network.recipe.backbone.predicts_residual and multiplies_bfloat16(images.device)
    precision = torch.bfloat16 if narrow else None
    if not ensemble:
        return network.reconstruct_batch(images, seen, precision)
    total = torch.zeros_like(images)
    for way in range(ORIENTATIONS):
        turn = partial(_rotate, way=way)
        turned = None if seen is None else seen.mapped(turn)
        total += _rotate_back(network.reconstruct_batch(turn(images), turned, precision), way)
    return total / ORIENTATIONS


def _rotate(images: Tensor, way: int) -> Tensor:
    mirrored = images.flip(-1) if way >= ORIENTATIONS // 2 else images
    return torch.rot90(mirrored, way % 4, (-2, -1)).contiguous()


def _rotate_back(images: Tensor, way: int) -> Tensor:
    upright = torch.rot90(images, -(way % 4), (-2, -1))
    return upright.flip(-1) if way >= ORIENTATIONS // 2 else upright
