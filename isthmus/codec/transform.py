"""From an image to the integers that are written to a file, and back: the network's part of the codec.

Both directions are local: a latent depends only on pixels within `margins`, and a pixel only on latents
within them. So an image of any size is coded in pieces, widened by the margin and cropped afterwards, without
seams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec import refinement
from isthmus.codec.coder import Ints
from isthmus.codec.grid import BLOCK_SIDE_TILES, Grid, Rectangle
from isthmus.codec.quantisation import dequantise, quantise
from isthmus.errors import CapabilityError, DataError, Hint
from isthmus.machine import multiplies_bfloat16
from isthmus.messages import Message
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import overlapped


def check_codec(model: Autoencoder) -> None:
    """Raises:
    CapabilityError: files cannot be made with this model; the message is the reason.
    """
    recipe = model.recipe
    capabilities.check_use(recipe, "compress")
    why = None
    if not recipe.bottleneck.has_rate:
        why = Message(
            "its codes are not integers with a known rate (bottleneck.kind={bottleneck})",
            id="codec.not-integers",
            bottleneck=recipe.bottleneck.kind,
        )
    elif not recipe.geometry.is_grid:
        why = Message(
            "its code {code} is a vector for one image size, not a grid such as 128@16",
            id="codec.vector-code",
            code=recipe.code,
        )
    elif not recipe.backbone.is_local:
        why = Message(
            "with backbone.kind={backbone} each part of an image depends on all of it",
            id="codec.not-local",
            backbone=recipe.backbone.kind,
        )
    elif recipe.positions.knows_position:
        why = Message(
            "its network has information about position, so it cannot code an image tile by tile",
            id="codec.knows-positions",
        )
    elif not recipe.corruption.is_identity:
        why = Message(
            "it was trained to restore corrupted images, so it would change an intact one",
            id="codec.trained-on-corrupted",
        )
    if why is not None:
        raise CapabilityError(
            "this model cannot compress: {reason}",
            id="codec.cannot-compress",
            hint=Hint.call("train", "DATA", recipe="codec"),
            reason=why,
        )


def margins(model: Autoencoder) -> tuple[int, int]:
    """Receptive radius of analysis and of synthesis, in steps of the latent grid, rounded up.

    A latent depends on pixels up to so many strides beyond its own piece of the image, and a pixel on latents
    up to so many steps around its own.

    Raises:
        CapabilityError: as `check_codec`.
    """
    check_codec(model)
    recipe = model.recipe
    return recipe.backbone.receptive_radius(recipe.geometry, model.size)


def analyse(model: Autoencoder, image: Tensor, quality: float) -> np.ndarray:
    """The integers of one image: `quantise` of its `compute_latents`, int32 `(C, ⌈H/stride⌉, ⌈W/stride⌉)`."""
    return quantise(model, compute_latents(model, image), quality)


@torch.no_grad()
def compute_latents(model: Autoencoder, image: Tensor) -> Tensor:
    """The network's part of `analyse`, which is the same at every quality.

    It runs in bfloat16 where the processor has instructions for it. An encoder is free to write any numbers,
    and this costs a thousandth of a decibel. Synthesis stays in float32: its pixels must be the same
    everywhere.

    Args:
        image: `(1, channels, H, W)` floats in [0, 1], any size; extended by its last rows and columns to the
            model's stride.

    Returns:
        float `(C, ⌈H/stride⌉, ⌈W/stride⌉)`.

    Raises:
        CapabilityError: as `check_codec`.
        DataError: another number of images or channels.
    """
    check_codec(model)
    if image.ndim != 4 or image.shape[:2] != (1, model.channels):
        raise DataError(
            "one image of {expected} channels is needed, got {shape}",
            id="codec.channels",
            expected=model.channels,
            shape=tuple(image.shape),
        )
    return model.features(image, torch.bfloat16 if multiplies_bfloat16(image.device) else None)[0]


@torch.no_grad()
def synthesise(model: Autoencoder, symbols: np.ndarray, quality: float, size: tuple[int, int]) -> np.ndarray:
    """The image of `symbols`, int32 `(C, h, w)`, at the quality they were made with.

    Args:
        size: `(H, W)` of the image.

    Returns:
        uint8 `(H, W, channels)`.

    Raises:
        CapabilityError: as `check_codec`.
        DataError: symbols of another shape than an image of that size has.
    """
    check_codec(model)
    shape = model.recipe.geometry.shape(size)
    if symbols.shape != shape:
        raise DataError(
            "an image of {height}×{width} has symbols of shape {expected}, not {given}",
            id="codec.symbols-shape",
            height=size[0],
            width=size[1],
            expected=shape,
            given=symbols.shape,
        )
    painted = model.decode_batch(dequantise(model, symbols, quality), size)[0]
    levels = (painted * 255).round().to(torch.uint8).permute(1, 2, 0)
    result: np.ndarray = levels.contiguous().cpu().numpy()
    return result


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
    margin, _ = margins(model)
    for block in grid.blocks(grid.all, block_side(model, grid)):
        wide = block.wider(margin).meet(grid.all)
        under = grid.to_pixels(wide)
        piece = torch.tensor(pixels[under.slices]).permute(2, 0, 1)[None]
        latents = compute_latents(model, piece.float() / 255)
        for number in grid.tiles_in(block):
            tile = grid.tile(number)
            tile_in_block = tile.moved(-wide.top, -wide.left)
            if refine is None:
                yield number, latents[:, *tile_in_block.slices].clone()
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
        tiles: gives the symbols of tiles by their numbers, None for a lost one, which is filled from its
            surroundings. Called once per tile, or a few times to save memory.
        region: in pixels, within the picture.
    """
    _, margin = margins(model)
    steps = grid.to_steps(region)
    decoded: dict[int, Ints | None] = {}

    def gather(block: Rectangle) -> Ints:
        wide = block.wider(margin).meet(grid.all)
        needed_tiles = grid.tiles_in(wide)
        # Tiles above the block and its margin are no longer needed.
        for number in [n for n in decoded if grid.tile(n).bottom <= wide.top]:
            del decoded[number]
        new = [number for number in needed_tiles if number not in decoded]
        decoded.update(zip(new, tiles(new), strict=True))
        return _assemble(grid, wide, {n: decoded[n] for n in needed_tiles}, model.recipe.geometry.channels)

    blocks = (block.meet(steps) for block in grid.blocks(steps, block_side(model, grid)))
    for block, symbols in overlapped(gather, blocks):
        under = grid.to_pixels(block.wider(margin).meet(grid.all))
        painted = synthesise(model, symbols, quality, under.size)
        shown_part = grid.to_pixels(block).meet(region)
        yield shown_part, painted[shown_part.moved(-under.top, -under.left).slices]


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
