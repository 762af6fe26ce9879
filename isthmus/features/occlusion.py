"""Where the score of a whole picture comes from, for scores whose features have no places.

Cells of the picture are replaced, one at a time, by its mean colour around them (Zeiler and Fergus 2014,
"Visualizing and understanding convolutional networks"): the map is by how much the score falls.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import from_numpy

from isthmus.features.picture_scores import (
    Heat,
    Part,
    Picture,
    PictureMap,
    enlarge_map,
    map_pictures,
    to_unit,
)
from isthmus.features.readout import FeatureExtractor
from isthmus.model.autoencoder import Autoencoder

CELLS = 8  # per side
MAX_SIDE_PX = 512  # larger pictures are made smaller first


def map_occlusion(
    model: Autoencoder, extractor: FeatureExtractor, parts: Sequence[Part], picture: Picture
) -> Heat:
    """`(8, 8)` float32: by how much the score falls without each cell, at least 0; for small pictures fewer.

    Args:
        parts: of a detector; mean of their z-scores where there are several.
    """
    tensor = from_numpy(np.ascontiguousarray(to_unit(picture.pixels))).permute(2, 0, 1)[None]
    height, width = tensor.shape[-2:]
    largest = max(height, width)
    if largest > MAX_SIDE_PX:
        size = (max(1, height * MAX_SIDE_PX // largest), max(1, width * MAX_SIDE_PX // largest))
        tensor = F.interpolate(tensor, size, mode="area")
        height, width = size
    rows, columns = min(CELLS, height), min(CELLS, width)
    around = F.interpolate(F.adaptive_avg_pool2d(tensor, 3), (height, width), mode="bilinear")
    pixels, filling = (image[0].permute(1, 2, 0).numpy() for image in (tensor, around))
    pictures = [Picture(pixels)]
    for row in range(rows):
        for column in range(columns):
            top, down = row * height // rows, (row + 1) * height // rows
            left, right = column * width // columns, (column + 1) * width // columns
            changed = pixels.copy()
            changed[top:down, left:right] = filling[top:down, left:right]
            pictures.append(Picture(changed))
    scores = np.zeros(len(pictures))
    for part in parts:
        own = np.array([result.score for result in map_pictures(model, extractor, part, pictures)])
        scores += (own - part.centre) / part.spread / len(parts)
    falls = np.maximum(scores[0] - scores[1:], 0).reshape(rows, columns)
    return np.asarray(falls, dtype=np.float32)


def show_map(
    model: Autoencoder,
    extractor: FeatureExtractor,
    parts: Sequence[Part],
    picture: Picture,
    result: PictureMap,
) -> Heat:
    """`(H, W)` map at the picture's size; by occlusion, scaled to the score, where that has no places."""
    shape = picture.pixels.shape
    if result.heat.size > 1:
        return enlarge_map(result.heat, shape)
    falls = enlarge_map(map_occlusion(model, extractor, parts, picture), shape)
    highest = float(falls.max())
    if highest <= 0 or result.score <= 0:
        return enlarge_map(result.heat, shape)
    return np.asarray(falls * (result.score / highest), dtype=np.float32)
