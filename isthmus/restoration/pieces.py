"""A network on images of any size in bounded memory: overlapping pieces, whose inner parts are kept.

The receptive field of a convolutional network without positions is limited. Where the overlap is as wide, the
pieces together are what one pass over the whole image would give.

`reconstruct` averages over the eight orientations of an image (Lim et al. 2017, "Enhanced deep residual
networks for single image super-resolution", section 3.4): better, in eight times the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import Hint, UsageError
from isthmus.images.array_format import to_batch
from isthmus.images.sample_range import NOISY
from isthmus.machine import multiplies_bfloat16
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.trace import Corrupted

INNER = 768  # side of what is kept of a piece; a multiple of every stride and of the cells of `fill`
MARGIN = 64  # of overlap on each side

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Piece:
    """`outer` is what the network is shown, `inner` what is kept, both (rows, columns) of the image.

    `kept` is the inner part seen from the outer's corner.
    """

    outer: Window
    inner: Window
    kept: Window


def pieces(height: int, width: int, *, inner: int = INNER, margin: int = MARGIN) -> Iterator[Piece]:
    """Cover an image; one that fits into a piece with its overlap is one piece."""
    side = inner + 2 * margin
    rows = _spans(height, inner, margin) if height > side else [(0, height, 0, height)]
    columns = _spans(width, inner, margin) if width > side else [(0, width, 0, width)]
    for a, b, top, bottom in rows:
        for c, d, left, right in columns:
            yield Piece(
                (slice(a, b), slice(c, d)),
                (slice(top, bottom), slice(left, right)),
                (slice(top - a, bottom - a), slice(left - c, right - c)),
            )


def _spans(extent: int, inner: int, margin: int) -> list[tuple[int, int, int, int]]:
    starts = range(0, extent, inner)
    return [(max(0, s - margin), min(extent, s + inner + margin), s, min(extent, s + inner)) for s in starts]


def can_be_cut(model: Autoencoder) -> bool:
    """Whether the network looks the same everywhere: convolutions without positions, code a grid."""
    recipe = model.recipe
    return recipe.geometry.is_grid and recipe.backbone.is_local and not recipe.positions.knows_position


def widened(images: Tensor, multiple: int) -> Tensor:
    """`(N, C, H, W)` with mirrored rows and columns at the end, up to multiples of what the network needs.

    A repeated border, which the network itself would add, turns noise into stripes that look like structure.
    """
    height, width = images.shape[-2:]
    down, right = -height % multiple, -width % multiple
    mode = "reflect" if down < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, down), mode=mode) if down or right else images


def in_pieces(
    image: Any,
    restore: Callable[[Tensor, Piece], Tensor],
    *,
    out: Any,
    cut: bool = True,
    listener: Callable[[int, int], None] | None = None,
) -> None:
    """Write the restored `image` into `out`, piece by piece.

    Args:
        image: NumPy `(H, W)` or `(H, W, C)`, or torch `(1, C, H, W)`, of any sample type.
        restore: `(piece (1, C, h, w) float32, where) -> (1, C, h, w)`.
        out: of the shape and sample type of the image; may share nothing with it.
        cut: else the image is one piece.
        listener: called with (pieces done, pieces in all).

    Raises:
        DataError: as `to_batch`: NaN, or not an image.
    """
    tensor = isinstance(image, Tensor)
    height, width = image.shape[-2:] if tensor else image.shape[:2]
    plan = list(pieces(height, width)) if cut else list(pieces(height, width, inner=max(height, width)))
    for done, piece in enumerate(plan, start=1):
        window = (..., *piece.outer) if tensor else piece.outer
        inner = (..., *piece.kept) if tensor else piece.kept
        batch, kind = to_batch(image[window], many=None if tensor else False, bounds=NOISY)
        with torch.no_grad():
            restored = kind.restore(restore(batch, piece))
        out[(..., *piece.inner) if tensor else piece.inner] = restored[inner]
        if listener is not None:
            listener(done, len(plan))


def like(image: Any) -> Any:
    """Room for an image of the same shape and sample type."""
    return torch.empty_like(image) if isinstance(image, Tensor) else np.empty(image.shape, image.dtype)


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


def reconstruct(
    network: Autoencoder, images: Tensor, corrupted: Corrupted | None, *, ensemble: bool
) -> Tensor:
    """`network.reconstruct_batch` of `(N, C, H, W)`, or its mean over all orientations.

    Its convolutions run in bfloat16 where the device multiplies it. What they compute is the difference from
    the input, which is added in float32, so that this costs at most some hundredths of a decibel.
    """
    narrow = network.recipe.backbone.predicts_residual and multiplies_bfloat16(images.device)
    precision = torch.bfloat16 if narrow else None
    if not ensemble:
        return network.reconstruct_batch(images, corrupted, precision)
    total = torch.zeros_like(images)
    for way in range(ORIENTATIONS):
        turn = partial(rotate, way=way)
        turned = None if corrupted is None else corrupted.mapped(turn)
        total += rotate_back(network.reconstruct_batch(turn(images), turned, precision), way)
    return total / ORIENTATIONS


def rotate(images: Tensor, way: int) -> Tensor:
    """`(N, C, H, W)` in one of the eight orientations, 0 to 7."""
    mirrored = images.flip(-1) if way >= ORIENTATIONS // 2 else images
    return torch.rot90(mirrored, way % 4, (-2, -1)).contiguous()


def rotate_back(images: Tensor, way: int) -> Tensor:
    """The inverse of `rotate`."""
    upright = torch.rot90(images, -(way % 4), (-2, -1))
    return upright.flip(-1) if way >= ORIENTATIONS // 2 else upright
