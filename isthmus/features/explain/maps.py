"""Where in an image a unit looks: by gradients, and by covering one place after another.

Both are signed: positive where the image raises the unit above what it is for the mean image. Both measure
against the mean image, because nothing else stands for "no information" in images of any kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.features.explain.units import unit_values
from isthmus.model.autoencoder import Autoencoder

PATH_STEPS = 16
PATCHES_PER_SIDE = 10  # that would fit along the shorter side
BATCH = 128


def gradient_maps(model: Autoencoder, image: Tensor, base: Tensor, units: Sequence[int]) -> Tensor:
    """Integrated gradients (Sundararajan, Taly and Yan 2017, section 3).

    The mean gradient along the straight line from the base to the image, times their difference; the values
    of one map sum to what the unit changes by, up to the error of 16 steps.

    Args:
        image, base: `(C, H, W)` in [0, 1].

    Returns:
        `(len(units), H, W)`, channels summed.
    """
    shares = (torch.arange(PATH_STEPS) + 0.5) / PATH_STEPS
    path = base + shares.view(-1, 1, 1, 1) * (image - base)
    path = path.detach().requires_grad_()
    values = unit_values(model, path)
    maps = []
    for unit in units:
        (gradient,) = torch.autograd.grad(values[:, unit].sum(), path, retain_graph=True)
        maps.append((gradient.mean(0) * (image - base)).sum(0))
    return torch.stack(maps)


@torch.no_grad()
def occlusion_maps(model: Autoencoder, image: Tensor, base: Tensor, units: Sequence[int]) -> Tensor:
    """How much a unit falls when a square is covered with the base (Zeiler and Fergus 2014, section 4.2).

    Squares overlap by half; a pixel gets the mean over the squares that cover it, per pixel of a square.

    Returns:
        `(len(units), H, W)`.
    """
    height, width = image.shape[-2:]
    side = max(1, round(min(height, width) / PATCHES_PER_SIDE) * 2 // 2 or 1)
    step = max(1, side // 2)
    places = [
        (top, left) for top in _patch_starts(height, side, step) for left in _patch_starts(width, side, step)
    ]
    uncovered = unit_values(model, image[None])[0, list(units)]
    total, covered = torch.zeros(len(units), height, width), torch.zeros(height, width)
    for start in range(0, len(places), BATCH):
        part = places[start : start + BATCH]
        hidden = image.repeat(len(part), 1, 1, 1)
        for number, (top, left) in enumerate(part):
            there = (slice(None), slice(top, top + side), slice(left, left + side))
            hidden[number][there] = base[there]
        falls = (uncovered - unit_values(model, hidden)[:, list(units)]) / side**2  # (n, units)
        for fall, (top, left) in zip(falls, part, strict=True):
            total[:, top : top + side, left : left + side] += fall.view(-1, 1, 1)
            covered[top : top + side, left : left + side] += 1
    return total / covered


def _patch_starts(length: int, side: int, step: int) -> list[int]:
    return sorted({*range(0, length - side, step), length - side})
