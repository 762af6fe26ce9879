"""Units of a code, the numbers of a vector or the channels of a grid, and how they behave over a set.

`map_occlusion` shows where the score of a picture comes from if its features have no
places: cells of the
picture are replaced, one at a time, by its mean colour around them (Zeiler and Fergus 2014, "Visualizing and
understanding convolutional networks"), and the map holds by how much the score falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, from_numpy

from isthmus.features.part_maps import map_pictures
from isthmus.features.picture_maps import Heat, Part, PictureMap, enlarge_map
from isthmus.features.pictures import Picture, to_unit
from isthmus.features.readout import FeatureExtractor
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet, Indices
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder

QUANTILES = (0.02, 0.16, 0.5, 0.84, 0.98)

_PIXELS_PER_PASS = 2**22


@dataclass(frozen=True)
class Units:
    """Every unit over N images, `(K,)` each unless stated otherwise.

    Attributes:
        values: `(N, K)` of each image; of a grid its mean over positions.
        mean, deviation: over all positions of all images.
        quantiles: `(5, K)`, at 2, 16, 50, 84 and 98 %, over all positions.
        active: share of positions that are not 0.
        image: `(C, H, W)` the mean image, at the model's size: what maps take away to.
    """

    values: Tensor
    mean: Tensor
    deviation: Tensor
    quantiles: Tensor
    active: Tensor
    image: Tensor

    def top_images(self, unit: int, count: int) -> Indices:
        """Images of the set with the unit's largest values, largest first."""
        order = torch.argsort(self.values[:, unit], descending=True, stable=True)[:count]
        return np.asarray(order.numpy(), dtype=np.int64)

    def rank_informative(self, values: Tensor, count: int) -> list[int]:
        """The units of one image, `values (K,)`, that are farthest from their mean, farthest first.

        Of a sparse code, whose units are mostly 0, those that are on come first.
        """
        spread = self.values.std(0, correction=0)
        away = (values - self.values.mean(0)).abs() / spread.clamp_min(1e-6)
        # dead units carry no information, and those that are off little
        away[(spread < 1e-6) | (values == 0)] = -1
        return [int(unit) for unit in torch.argsort(away, descending=True, stable=True)[:count]]


@torch.no_grad()
def observe_units(model: Autoencoder, images: ImageSet) -> Units:
    """One deterministic pass over a set."""
    values, rows, total = [], [], torch.zeros(model.channels, *model.size)
    positions = 0
    for batch in iter_batches(images, batch=_images_per_pass(images)):
        code = model.encode_batch(batch.images)
        values.append(pool_units(code))
        flat = code.flatten(2).movedim(1, 2).flatten(0, 1) if code.ndim > 2 else code
        positions = positions or max(1, len(flat) // len(code) * len(images) // 50_000)
        rows.append(flat[::positions])
        resized = torch.nn.functional.interpolate(batch.images, model.size, mode="bilinear", antialias=True)
        total += resized.sum(0)
    every = torch.cat(rows)
    some = every[:: max(1, len(every) // 20_000)]
    return Units(
        values=torch.cat(values),
        mean=every.mean(0),
        deviation=every.std(0, correction=0),
        quantiles=torch.quantile(some, torch.tensor(QUANTILES), dim=0),
        active=(every != 0).float().mean(0),
        image=total / len(images),
    )


def pool_units(code: Tensor) -> Tensor:
    """`(N, K)` or `(N, K, h, w)` → `(N, K)`, a grid's channels averaged."""
    return code.flatten(2).mean(2) if code.ndim > 2 else code


def unit_values(model: Autoencoder, images: Tensor) -> Tensor:
    """`(N, C, H, W)` → `(N, K)`, with gradients: what maps are made of.

    A rounded code has none, and a unit that is one of the k largest jumps: there the encoder's own numbers
    are taken.
    """
    bottleneck = model.recipe.bottleneck
    if bottleneck.is_discrete or bottleneck.kept_units is not None:
        channels = model.recipe.geometry.channels
        return pool_units(model.features(images)[:, :channels])
    return pool_units(model.encode_batch(images))


def _images_per_pass(images: ImageSet) -> int:
    if images.shape is None:
        return 1
    return max(1, min(256, _PIXELS_PER_PASS // int(np.prod(images.shape))))


BATCH = 64


@torch.no_grad()
def decode_units(model: Autoencoder, units: Units, chosen: Sequence[int]) -> Tensor:
    """The change of the picture when a unit goes from low to high, the others at their mean.

    From its 2 % to its 98 % quantile over the set; a unit of a sparse code from 0 to its mean value where it
    is on, the others off. In a grid code only the position in the middle is changed.

    Returns:
        `(len(chosen), C, H, W)` differences in [−1, 1], at the model's size.

    Raises:
        CapabilityError: a model with skips cannot decode a code alone.
    """
    capabilities.check_use(model.recipe, "decode")
    sparse = model.recipe.bottleneck.is_sparse
    start = torch.zeros_like(units.mean) if sparse else units.mean
    shape = model.recipe.geometry.shape(_size(model))
    resting_code = start.view(-1, *(1,) * (len(shape) - 1)).expand(shape)
    pairs = []
    for unit in chosen:
        low, high = resting_code.clone(), resting_code.clone()
        at = (unit, *(side // 2 for side in shape[1:]))
        if sparse:
            high[at] = units.mean[unit] / units.active[unit].clamp_min(1e-6)
        else:
            low[at], high[at] = units.quantiles[0, unit], units.quantiles[-1, unit]
        pairs += [low, high]
    painted = _decode(model, torch.stack(pairs))
    return painted[1::2] - painted[0::2]


@torch.no_grad()
def traverse_units(model: Autoencoder, code: Tensor, units: Units, chosen: Sequence[int]) -> Tensor:
    """One image with each unit moved to its 2, 16, 50, 84 and 98 % quantile, the rest of its code as it is.

    A channel of a grid is moved as a whole, by the difference to its mean.

    Args:
        code: of one image, `(K,)` or `(K, h, w)`.

    Returns:
        `(len(chosen), 5, C, H, W)` in [0, 1].
    """
    capabilities.check_use(model.recipe, "decode")
    moved = []
    for unit in chosen:
        for value in units.quantiles[:, unit]:
            shifted = code.clone()
            shifted[unit] = value if code.ndim == 1 else shifted[unit] + (value - shifted[unit].mean())
            moved.append(shifted)
    painted = _decode(model, torch.stack(moved), tuple(code.shape[1:]))
    return painted.view(len(chosen), -1, *painted.shape[1:])


def _decode(model: Autoencoder, codes: Tensor, grid: tuple[int, ...] = ()) -> Tensor:
    stride = model.recipe.geometry.stride
    size = _size(model)
    if grid and stride is not None:
        size = (grid[0] * stride, grid[1] * stride)
    return torch.cat([model.decode_batch(part, size) for part in torch.split(codes, BATCH)])


def _size(model: Autoencoder) -> tuple[int, int]:
    """The model's own size, padded to what a grid code covers."""
    if not model.recipe.geometry.is_grid:
        return model.size
    height, width = (-(-side // model.multiple) * model.multiple for side in model.size)
    return height, width


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
