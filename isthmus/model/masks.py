"""Which pixels a mask hides, and how they are filled for the network.

Single pixels, blocks, patches of a grid, strokes, or a mixture of all kinds. Each returns `(N, 1, H, W)`
booleans, True where hidden, and draws only from the generator it is given.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.model import axes

LARGE = 0.4  # blocks and strokes of a mixture hide up to this share: more would leave nothing to go by
STROKES = 6  # per image and kind of thickness, at most


def hidden(
    shape: tuple[int, int, int], how: axes.Mask, generator: torch.Generator, device: torch.device
) -> Tensor:
    """The mask of a batch of `shape (N, H, W)`."""
    n, h, w = shape
    if how.shape == "mixed":
        return _mixed(n, h, w, how, generator, device)
    amounts = _amounts(n, how, generator, device)
    if how.shape == "pixels":
        return torch.rand(n, 1, h, w, generator=generator, device=device) < amounts
    if how.shape == "strokes":
        return strokes(n, h, w, how.size, generator, device)
    if how.shape == "patches":
        return _patches(n, h, w, how.size, amounts, generator, device)
    if how.amount_low is None:
        return _blocks(n, h, w, how.amount, how.size, generator, device)
    parts = [_blocks(1, h, w, float(a), how.size, generator, device) for a in amounts.flatten()]
    return torch.cat(parts)


def _amounts(n: int, how: axes.Mask, generator: torch.Generator, device: torch.device) -> Tensor:
    kind = torch.float32 if device.type == "mps" else torch.float64  # Apple's devices have no doubles
    if how.amount_low is None:
        return torch.full((n, 1, 1, 1), how.amount, dtype=kind, device=device)
    low = min(how.amount_low, how.amount)
    drawn = torch.rand(n, 1, 1, 1, generator=generator, device=device).to(kind)
    return low + (how.amount - low) * drawn


def _mixed(
    n: int, h: int, w: int, how: axes.Mask, generator: torch.Generator, device: torch.device
) -> Tensor:
    # Half the images lose single pixels, a quarter blocks of any size up to the largest, a quarter strokes.
    amounts = _amounts(n, how, generator, device)
    result = torch.rand(n, 1, h, w, generator=generator, device=device) < amounts
    kinds, sizes = torch.rand(2, n, generator=generator, device=device).tolist()
    for i, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        side = max(2, round(how.size ** (0.3 + 0.7 * size)))
        if 0.5 <= kind < 0.75:
            share = min(float(amounts[i]), LARGE)
            result[i] = _blocks(1, h, w, share, side, generator, device)[0]
        elif kind >= 0.75:
            result[i] = strokes(1, h, w, max(2, round(how.size / 4)), generator, device)[0]
    return result


def _patches(
    n: int, h: int, w: int, size: int, amounts: Tensor, generator: torch.Generator, device: torch.device
) -> Tensor:
    # The same number in every image (He et al. 2022), so that the encoder can drop the hidden ones.
    rows, columns = -(-h // size), -(-w // size)
    noise = torch.rand(n, rows * columns, generator=generator, device=device)
    counts = (amounts.view(n, 1) * rows * columns).round().clamp_max(rows * columns - 1)
    rank = noise.argsort(1).argsort(1)
    covered = (rank < counts).view(n, 1, rows, columns)
    return covered.repeat_interleave(size, 2).repeat_interleave(size, 3)[..., :h, :w]


def _blocks(
    n: int, h: int, w: int, amount: float, side: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    # k blocks thrown independently cover 1 − (1 − a)^k of the image on average, a being one block's share. A
    # block larger than the hidden share would hide far too much or, if no block is drawn, nothing.
    size = max(1, min(side, h, w, math.isqrt(round(amount * h * w))))
    share = size * size / (h * w)
    count = max(1, round(math.log(1 - amount) / math.log(1 - share))) if share < 1 and amount else 0
    if count == 0:
        return torch.zeros(n, 1, h, w, dtype=torch.bool, device=device)
    tops = torch.randint(0, h - size + 1, (n, count, 1), generator=generator, device=device)
    lefts = torch.randint(0, w - size + 1, (n, count, 1), generator=generator, device=device)
    rows = torch.arange(h, device=device).view(1, 1, h)
    columns = torch.arange(w, device=device).view(1, 1, w)
    in_rows = (rows >= tops) & (rows < tops + size)  # (n, count, h)
    in_columns = (columns >= lefts) & (columns < lefts + size)  # (n, count, w)
    cover = torch.einsum("nbh,nbw->nhw", in_rows.float(), in_columns.float())
    return (cover > 0)[:, None]


def strokes(
    n: int, h: int, w: int, thickest: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """Straight scratches of any length and direction, and short ones as in letters, up to `thickest` wide."""
    count = 2 * STROKES
    ends = torch.rand(n, count, 2, generator=generator, device=device) * torch.tensor([h, w], device=device)
    angle = torch.rand(n, count, generator=generator, device=device) * math.pi
    long = torch.rand(n, count, generator=generator, device=device) * max(h, w) / 2
    short = torch.arange(count, device=device) >= STROKES
    half_length = torch.where(short, long / 6, long)
    half_width = 0.5 + torch.rand(n, count, generator=generator, device=device) * (thickest - 1) / 2
    is_drawn = torch.rand(n, count, generator=generator, device=device) < 0.7
    is_drawn[:, 0] = True
    row = torch.arange(h, device=device).view(1, 1, h, 1) + 0.5 - ends[..., 0, None, None]
    column = torch.arange(w, device=device).view(1, 1, 1, w) + 0.5 - ends[..., 1, None, None]
    sine, cosine = angle.sin()[..., None, None], angle.cos()[..., None, None]
    along, across = row * sine + column * cosine, row * cosine - column * sine  # (n, count, h, w)
    inside = (along.abs() <= half_length[..., None, None]) & (across.abs() <= half_width[..., None, None])
    return (inside & is_drawn[..., None, None]).any(1, keepdim=True)


RELAXED = (8, 4, 2, 1)  # steps on each level from the finest on; the last number holds for all coarser
LEVELS = 6  # cells of 64 pixels; what lies beyond is read from `beyond`, or averaged on


def fill(images: Tensor, visible: Tensor, beyond: Tensor | None = None) -> Tensor:
    """`images` with missing pixels filled in; visible pixels are returned unchanged.

    Args:
        images: `(N, C, H, W)`; what stands in missing pixels is not looked at.
        visible: `(N, 1, H, W)` booleans.
        beyond: `(N, C, ⌈H/64⌉, ⌈W/64⌉)` values for cells of 64 pixels without any visible one, as
            `fill_cells` gives them. By default they follow from the images.
    """
    weight = visible.to(images.dtype)
    return _filled(images * weight, weight, beyond, LEVELS)


def fill_cells(averages: Tensor, is_known: Tensor) -> Tensor:
    """What `fill` takes as `beyond`, from the `cells` of a whole image."""
    weight = is_known.to(averages.dtype)
    return _filled(averages * weight, weight, None, 0)


def cells(images: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
    """Averages of the visible pixels in cells of 64, and which cells have any, for `fill_cells`."""
    weight = visible.to(images.dtype)
    values = images * weight
    for _ in range(LEVELS):
        values, weight = _pulled(values, weight)
    return values / weight.clamp_min(1e-12), weight > 0


def _filled(values: Tensor, weight: Tensor, beyond: Tensor | None, levels: int) -> Tensor:
    """`values` hold weight × average. The result is complete."""
    average = values / weight.clamp_min(1e-12)
    is_known = weight > 0
    if bool(is_known.all()):
        return average
    height, width = values.shape[-2:]
    if levels == 0 and beyond is not None:
        return torch.where(is_known, average, beyond)
    if height == width == 1:
        return average  # nothing is visible anywhere: zero
    coarser, coarse_weight = _pulled(values, weight)
    pushed = _filled(coarser, coarse_weight, beyond, levels - 1)
    # Cells are 2×2 also at an odd border, so the picture is enlarged by exactly two and cut.
    finer = F.interpolate(pushed, scale_factor=2, mode="bilinear", align_corners=False)
    guess = torch.where(is_known, average, finer[..., :height, :width])
    for _ in range(RELAXED[min(LEVELS - levels, len(RELAXED) - 1)]):
        guess = torch.where(is_known, average, _around(guess))
    return guess


def _around(images: Tensor) -> Tensor:
    """The mean of the four neighbours; outside of the image a pixel is its own."""
    wide = F.pad(images, (1, 1, 1, 1), mode="replicate")
    rows, columns = wide[..., 1:-1], wide[..., 1:-1, :]
    return (rows[..., :-2, :] + rows[..., 2:, :] + columns[..., :-2] + columns[..., 2:]) / 4


def _pulled(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    odd = (0, values.shape[-1] % 2, 0, values.shape[-2] % 2)
    coarser = F.avg_pool2d(F.pad(values, odd), 2) * 4
    total = F.avg_pool2d(F.pad(weight, odd), 2) * 4
    # The weight of a cell is at most that of one pixel, so that a dense neighbour does not dominate a sparse
    # one.
    limit = total.clamp_min(1.0)
    return coarser / limit, total / limit
