"""What a unit paints: the decoder's answer to one unit alone, and an image with one of its units moved."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.features.explain.units import Units
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder

BATCH = 64


@torch.no_grad()
def decode_units(model: Autoencoder, units: Units, chosen: Sequence[int]) -> Tensor:
    """What changes in the picture when a unit goes from low to high, the others at their mean.

    From its 2 % to its 98 % quantile over the set; a unit of a sparse code from 0 to its mean value where it
    is on, the others off. In a grid code only the position in the middle is changed.

    Returns:
        `(len(chosen), C, H, W)` differences in [−1, 1], at the model's size.

    Raises:
        CapabilityError: a model with skips paints nothing from the code alone.
    """
    capabilities.check_use(model.recipe, "decode")
    sparse = model.recipe.bottleneck.is_sparse
    start = torch.zeros_like(units.mean) if sparse else units.mean
    shape = model.recipe.geometry.shape(_size(model))
    rest = start.view(-1, *(1,) * (len(shape) - 1)).expand(shape)
    pairs = []
    for unit in chosen:
        low, high = rest.clone(), rest.clone()
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
