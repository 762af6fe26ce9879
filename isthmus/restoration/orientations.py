"""The mean of what a network makes of an image in its eight orientations (Lim et al. 2017, "Enhanced deep
residual networks for single image super-resolution", section 3.4): better, in eight times the time.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted

ALL = 8  # four quarter turns, of the image and of its mirror image


def check_turns(network: Autoencoder) -> None:
    """Raises:
    UsageError: the network was taught images one way up only.
    """
    if not network.summary.get("options", {}).get("turn"):
        raise UsageError(
            "a thorough restoration turns the image, and this model was trained on images one way up",
            hint=f"isthmus train DATA --recipe {network.recipe.name} --turn",
        )


def reconstructed(network: Autoencoder, images: Tensor, seen: Corrupted | None, *, thorough: bool) -> Tensor:
    """`network.reconstruct_batch` of `(N, C, H, W)`, or its mean over all orientations."""
    if not thorough:
        return network.reconstruct_batch(images, seen)
    total = torch.zeros_like(images)
    for way in range(ALL):
        turn = partial(_turned, way=way)
        turned = None if seen is None else seen.mapped(turn)
        total += _back(network.reconstruct_batch(turn(images), turned), way)
    return total / ALL


def _turned(images: Tensor, way: int) -> Tensor:
    mirrored = images.flip(-1) if way >= ALL // 2 else images
    return torch.rot90(mirrored, way % 4, (-2, -1)).contiguous()


def _back(images: Tensor, way: int) -> Tensor:
    upright = torch.rot90(images, -(way % 4), (-2, -1))
    return upright.flip(-1) if way >= ALL // 2 else upright
