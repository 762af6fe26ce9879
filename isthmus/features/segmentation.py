"""Pixels that a model marks as defects, in pictures of any size.

A picture is processed in overlapping tiles, because the network reads whole images and was trained on pieces
of them; where tiles overlap, each counts the less the nearer its border is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.features.pictures import to_unit
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder

TILE_SIDE_PX = 384  # of a tile; a picture that is not larger is one tile
OVERLAP = 0.25  # share of a tile's side that overlaps with the next one, at least
LEAST_WEIGHT = 0.05  # of a tile's outermost pixels, where 1 is that of its centre

Map = npt.NDArray[np.float32]


@torch.no_grad()
def segmentation_map(model: Autoencoder, picture: Pixels, *, ensemble: bool = False) -> Map:
    """How much each pixel looks like a part of a defect.

    Args:
        model: trained with recipe `defects`, or another one with planted defects.
        picture: `(H, W, C)` uint8, uint16 or float32 in [0, 1], of the model's channels and any size. A large
            one is converted piece by piece: memory is that of picture and map.
        ensemble: the mean over the picture and its three mirror images, which takes four times as long.

    Returns:
        `(H, W)` float32, logits: 0 is a probability of one half.

    Raises:
        CapabilityError: the model does not mark defects.
        DataError: a picture without pixels, or of other axes or channels.

    Examples:
        >>> from isthmus.model.autoencoder import build
        >>> from isthmus.model.recipes import resolve_recipe
        >>> model = build(resolve_recipe("defects", "64@16"), channels=1, size=(64, 64))
        >>> segmentation_map(model, np.zeros((30, 500, 1), np.float32)).shape
        (30, 500)
    """
    if picture.ndim != 3 or picture.shape[2] != model.channels or 0 in picture.shape:
        raise DataError(
            "a picture of shape {shape} cannot be segmented: expected (H, W, {channels})",
            id="segmentation.shape",
            shape=picture.shape,
            channels=model.channels,
        )
    if ensemble:
        return _mean_over_mirrors(model, picture)
    height, width = picture.shape[:2]
    side = max(TILE_SIDE_PX, *model.size)
    if height <= side and width <= side:
        return _mark(model, picture)
    total = np.zeros((height, width), np.float32)
    weights = np.zeros((min(side, height), width), np.float32)  # of the rows from `top` on
    starts = _starts(height, side)
    for top, following in zip(starts, [*starts[1:], height], strict=True):
        for left in _starts(width, side):
            place = np.s_[top : top + side, left : left + side]
            weight = _weigh_pixels(*total[place].shape)
            total[place] += weight * _mark(model, picture[place])
            weights[:, left : left + side] += weight
        complete = following - top
        total[top:following] /= weights[:complete]
        weights[:-complete] = weights[complete:]
        weights[-complete:] = 0
    return total


def _mean_over_mirrors(model: Autoencoder, picture: Pixels) -> Map:
    total = np.zeros(picture.shape[:2], np.float32)
    for rows in (slice(None), slice(None, None, -1)):
        for columns in (slice(None), slice(None, None, -1)):
            total += segmentation_map(model, picture[rows, columns])[rows, columns]
    return total / np.float32(4)


def _mark(model: Autoencoder, tile: Pixels) -> Map:
    images = torch.from_numpy(np.ascontiguousarray(to_unit(tile).transpose(2, 0, 1)))[None]
    marked = model.mark_batch(images.to(next(model.parameters()).device))[0]
    return np.asarray(marked.float().cpu().numpy())


def _starts(length: int, side: int) -> list[int]:
    """Where tiles begin: evenly spaced, from one border to the other."""
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))
    return [int(start) for start in np.linspace(0, length - side, count).round()]


def _weigh_pixels(height: int, width: int) -> Map:
    """`(H, W)` weights of a tile's pixels, which fall towards its borders."""
    rows, columns = (
        np.minimum(np.arange(side) + 1, side - np.arange(side)) / ((side + 1) / 2) for side in (height, width)
    )
    weight = np.minimum(rows[:, None], columns[None])
    return np.maximum(weight, LEAST_WEIGHT).astype(np.float32)
