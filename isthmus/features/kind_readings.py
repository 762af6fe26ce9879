"""What a network answers to tiles of pictures, as the kinds of anomaly scores read it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from isthmus.features.layers import activations
from isthmus.features.readout import NUMBERS_PER_PASS, FeatureExtractor, FeatureSpec, pool_batch
from isthmus.model.attachment_check import check_values
from isthmus.model.autoencoder import Autoencoder

GRID_SIDE = 5  # places per side of the grid on which local features are averaged
POOL_SIDE = 3  # per side, in which a `filters` model's answers are pooled


@torch.no_grad()
def read_errors(model: Autoencoder, _extractor: FeatureExtractor, tiles: Tensor) -> Tensor:
    """`(t, h, w)`: mean squared error of the reconstruction over the channels."""
    return (model.reconstruct_batch(tiles) - tiles).square().mean(1)


@torch.no_grad()
def read_pooled(model: Autoencoder, extractor: FeatureExtractor, tiles: Tensor) -> Tensor:
    """`(t, D)` pooled features as they are: dividing by deviations would raise what normal images lack."""
    return check_values(pool_batch(model, tiles, _pooled_spec(model, extractor.reading)))


@torch.no_grad()
def read_parts(model: Autoencoder, extractor: FeatureExtractor, tiles: Tensor) -> Tensor:
    """`(t, side², K)`: the layer's rectified answers, averaged over each cell of a grid; vectors have one."""
    reading = dataclasses.replace(extractor.reading, pool=(GRID_SIDE,))
    pooled = check_values(pool_batch(model, tiles, reading))
    signs = 2 if reading.rectify == "signs" else 1
    channels = pooled.shape[1] // (signs * GRID_SIDE**2)
    parts = pooled.view(len(pooled), signs * channels, GRID_SIDE**2).transpose(1, 2)
    if reading.layer == "code" and not model.recipe.geometry.is_grid:
        parts = parts[:, :1]
    return parts.contiguous()


def _pooled_spec(model: Autoencoder, reading: FeatureSpec) -> FeatureSpec:
    if reading.layer == model.recipe.backbone.dense_layer:
        return dataclasses.replace(reading, pool=(POOL_SIDE,))
    return reading


def passes_per_batch(model: Autoencoder, extractor: FeatureExtractor) -> int:
    """How many tiles go through the network at once."""
    height, width = extractor.reading.size
    tile = torch.zeros(1, model.channels, height, width)
    numbers = int(activations(model, tile, extractor.reading.layer).numel())
    return max(4, min(256, NUMBERS_PER_PASS // max(1, numbers)) // 4 * 4)
