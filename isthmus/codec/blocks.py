"""Pictures of any size through the network, block by block, in bounded memory and without seams.

A block is given to the network with a margin of its surroundings as wide as the network sees, and the margin
is cut off again, so that every symbol and every pixel is what one pass over the whole picture would have
given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec import refinement, transform
from isthmus.codec.coder import Ints
from isthmus.codec.grid import BLOCK_SIDE_TILES, Grid, Rectangle
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import overlapped

BLOCK_BYTES = 450e6  # that a block's pass through the network may take, beside its margin
Pixels = npt.NDArray[np.uint8]
# The image (1, channels, H, W) in [0, 1] around a tile, the latents (C, h, w) there, and where in them the
# tile lies → the tile's own.
Refine = Callable[[Tensor, Tensor, Rectangle], Tensor]


def analyse_blocks(
    model: Autoencoder, pixels: Pixels, grid: Grid, *, refine: Refine | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Number and latents (C, h, w) of every tile of `pixels` (H, W, the model's channels), in blocks.

    Args:
        refine: makes other latents of them, each tile on its own.
    """
    margin, _ = transform.margins(model)
    for block in grid.blocks(grid.all, block_side(model, grid)):
        wide = block.wider(margin).meet(grid.all)
        under = grid.to_pixels(wide)
        piece = torch.tensor(pixels[under.slices]).permute(2, 0, 1)[None]
        latents = transform.compute_latents(model, piece.float() / 255)
        for number in grid.tiles_in(block):
            tile = grid.tile(number)
            here = tile.moved(-wide.top, -wide.left)
            if refine is None:
                yield number, latents[:, *here.slices].clone()
                continue
            context = tile.wider(refinement.MARGIN_STEPS).meet(wide)
            around = latents[:, *context.moved(-wide.top, -wide.left).slices]
            image = piece[:, :, *grid.to_pixels(context).moved(-under.top, -under.left).slices].float() / 255
            yield number, refine(image, around, tile.moved(-context.top, -context.left))


def synthesise_blocks(
    model: Autoencoder,
    tiles: Callable[[Sequence[int]], Sequence[Ints | None]],
    quality: float,
    grid: Grid,
    region: Rectangle,
) -> Iterator[tuple[Rectangle, Pixels]]:
    """The picture within `region`, piece by piece: where it lies, and its pixels (h, w, channels).

    Args:
        tiles: the symbols of tiles by their numbers, None for one that is lost: it is painted from what
            surrounds it. Asked for once per tile, or a few times where memory would be the price.
        region: in pixels, within the picture.
    """
    _, margin = transform.margins(model)
    steps = grid.to_steps(region)
    decoded: dict[int, Ints | None] = {}

    def gather(block: Rectangle) -> Ints:
        wide = block.wider(margin).meet(grid.all)
        needed_tiles = grid.tiles_in(wide)
        # Two rows of blocks above nothing is needed any more.
        for number in [n for n in decoded if grid.tile(n).bottom <= wide.top]:
            del decoded[number]
        new = [number for number in needed_tiles if number not in decoded]
        decoded.update(zip(new, tiles(new), strict=True))
        return _assemble(grid, wide, {n: decoded[n] for n in needed_tiles}, model.recipe.geometry.channels)

    blocks = (block.meet(steps) for block in grid.blocks(steps, block_side(model, grid)))
    for block, symbols in overlapped(gather, blocks):
        under = grid.to_pixels(block.wider(margin).meet(grid.all))
        painted = transform.synthesise(model, symbols, quality, under.size)
        here = grid.to_pixels(block).meet(region)
        yield here, painted[here.moved(-under.top, -under.left).slices]


def block_side(model: Autoencoder, grid: Grid) -> int:
    """Tiles along the side of a block: fewer for a network that takes much memory."""
    recipe = model.recipe
    per_pixel = recipe.backbone.bytes_per_pixel(recipe.geometry, model.channels)
    pixels = math.sqrt(BLOCK_BYTES / per_pixel)
    return max(1, min(BLOCK_SIDE_TILES, int(pixels / (grid.steps * grid.stride))))


def _assemble(grid: Grid, area: Rectangle, tiles: dict[int, Ints | None], channels: int) -> Ints:
    """The symbols (channels, h, w) of `area`; those of lost tiles are their nearest neighbours'."""
    symbols = np.zeros((channels, *area.size), np.int32)
    lost = np.zeros(area.size, bool)
    for number, values in tiles.items():
        tile = grid.tile(number)
        part = tile.meet(area)
        target = part.moved(-area.top, -area.left).slices
        if values is None:
            lost[target] = True
        else:
            symbols[:, *target] = values[:, *part.moved(-tile.top, -tile.left).slices]
    if lost.any() and not lost.all():
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(lost, return_distances=False, return_indices=True)
        symbols = symbols[:, nearest[0], nearest[1]]
    return symbols
