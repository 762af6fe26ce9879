"""What anomaly scores read from tiles of pictures: statistics of pixels, or what the network answers."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.features.layers import activations
from isthmus.features.level_statistics import CELLS
from isthmus.features.line_readings import read_lines
from isthmus.features.readout import NUMBERS_PER_PASS, FeatureExtractor, LayerReader, pool_maps
from isthmus.model.attachment_check import check_values
from isthmus.model.autoencoder import Autoencoder

RowKind = Literal["cells", "lines", "errors", "pooled", "parts", "logits"]
AT_OWN_SIZE: tuple[RowKind, ...] = ("cells", "lines", "errors")  # whole pictures; others at the model's size
WITHOUT_NETWORK: tuple[RowKind, ...] = ("cells", "lines")
MAX_PER_PASS = 256  # pictures or tiles that are read at once
GRID_SIDE = 5  # places per side of the grid on which local features are averaged
POOL_SIDE = 3  # per side, in which a `filters` model's answers are pooled


@torch.no_grad()
def read_tiles(row_kind: RowKind, layer: LayerReader, tiles: Tensor) -> Tensor:
    """The rows `(t, …)` of one kind, from tiles `(t, C, h, w)` in [0, 1].

    - `cells`: `(t, 2, C, 30, 30)` mean and deviation of the pixels of each cell.
    - `lines`: `(t, 10, 10, 10)` as `line_readings.read_lines`.
    - `errors`: `(t, h, w)` mean squared error of the reconstruction over the channels.
    - `pooled`: `(t, D)` features as they are: dividing by deviations would raise what normal images lack.
    - `parts`: `(t, side², K)` the layer's rectified answers, averaged over each cell of a grid; vectors have
      one.
    """
    if row_kind == "cells":
        centre = tiles.mean((2, 3), keepdim=True)  # squares of small differences do not cancel
        away = tiles - centre
        mean = F.adaptive_avg_pool2d(away, CELLS)
        square = F.adaptive_avg_pool2d(away.square(), CELLS)
        return torch.stack([mean + centre, (square - mean.square()).clamp_min(0).sqrt()], 1)
    if row_kind == "lines":
        return read_lines(tiles)
    if row_kind == "errors":
        return (layer.model.reconstruct_batch(tiles) - tiles).square().mean(1)
    reading = layer.extractor.reading
    if row_kind == "parts":
        reading = dataclasses.replace(reading, pool=(GRID_SIDE,))
    elif reading.layer == layer.model.recipe.backbone.dense_layer:
        reading = dataclasses.replace(reading, pool=(POOL_SIDE,))
    pooled = check_values(pool_maps(layer.read(tiles), reading))
    if row_kind == "pooled":
        return pooled
    signs = 2 if reading.rectify == "signs" else 1
    channels = pooled.shape[1] // (signs * GRID_SIDE**2)
    parts = pooled.view(len(pooled), signs * channels, GRID_SIDE**2).transpose(1, 2)
    if reading.layer == "code" and not layer.model.recipe.geometry.is_grid:
        parts = parts[:, :1]
    return parts.contiguous()


def count_per_pass(model: Autoencoder, extractor: FeatureExtractor) -> int:
    """How many tiles go through the network at once."""
    height, width = extractor.reading.size
    tile = torch.zeros(1, model.channels, height, width)
    numbers = int(activations(model, tile, extractor.reading.layer).numel())
    return max(4, min(MAX_PER_PASS, NUMBERS_PER_PASS // max(1, numbers)) // 4 * 4)
