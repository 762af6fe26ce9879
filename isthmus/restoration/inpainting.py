"""Fill the holes of an image; all other pixels stay bit for bit as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, UsageError
from isthmus.images.array_format import holds_file, open_image, receive, to_batch, to_pillow
from isthmus.images.sample_range import NOISY, Range, check_range
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.corruptions import holes
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.masks import LEVELS, cells, fill_cells
from isthmus.restoration.arrays import colour_of, copy_of, iter_colours, on_cpu
from isthmus.restoration.denoising import check_channels
from isthmus.restoration.masks import check_values, from_picture, grow, of_picture
from isthmus.restoration.network_pass import check_ensemble, from_planes, reconstruct, to_planes, widened
from isthmus.restoration.pieces import can_be_cut, iter_pieces
from isthmus.threads import limited

SHIPPED = "photo-inpaint"
CELL = 2**LEVELS


@limited()
@torch.no_grad()
def inpaint_image(
    image: Any,
    mask: Any,
    model: ModelLike | None = None,
    *,
    mask_grow: int = 0,
    ensemble: bool = False,
    range: Range | None = None,
    report: Callable[[float], None] | None = None,
) -> tuple[Any, tuple[float, ...]]:
    """Fill the missing pixels of one image, or of each of a tensor; any size, in bounded memory.

    Args:
        image, mask, model, mask_grow, ensemble, range: as for `isthmus.inpaint`.
        report: called with the share that is done, in (0, 1].

    Returns:
        The image as `isthmus.inpaint` gives it, and the share of missing pixels of each image.

    Raises:
        DataError, UsageError: as `isthmus.inpaint`.
    """
    opened, picture = open_image(image, alpha="keep", raw=range is not None)
    network = choose_inpainter(opened, model)
    missing = _read_masks(opened, mask, mask_grow)
    shares = tuple(missing.flatten(1).double().mean(1).tolist())
    if ensemble:
        check_ensemble(network)
    plain, kind = receive(_blank(opened, missing, range), many=False, range=range, bounds=NOISY)

    plain = on_cpu(plain)
    out = copy_of(plain)
    for index, (colour, target) in enumerate(zip(iter_colours(plain), iter_colours(out), strict=True)):
        for share in _fill_holes(network, colour, missing[index], ensemble, target):
            if report is not None:
                report((index + share) / len(missing))
    filled = kind.give(out)
    # Known samples are copied, because scaling them to [0, 1] and back may change the last bit.
    restored = _replace_colour(opened, missing, filled)
    return (to_pillow(restored) if picture else restored), shares


def choose_inpainter(image: Any, model: ModelLike | None = None) -> Autoencoder:
    """The network that fills this image's holes.

    Raises:
        UsageError: there is no such model, it does not fill holes, or restores images of other channels.
    """
    network = load_shared(model if model is not None else SHIPPED)
    if not network.recipe.corruption.hides_pixels:
        raise UsageError(
            "this model (recipe {recipe}) was not trained to fill holes",
            id="inpaint.model",
            hint=Hint.call("train", "DATA", recipe="inpainting"),
            recipe=network.recipe.name,
        )
    check_channels(image, network)
    return network


def _read_masks(image: Any, mask: Any, pixels: int) -> Tensor:
    """`(N, H, W)` booleans, checked, and grown by so many pixels."""
    tensor = isinstance(image, Tensor)
    size = tuple(image.shape[-2:]) if tensor else tuple(image.shape[:2])
    if isinstance(mask, Tensor):
        check_values(mask.detach().cpu().to(torch.float64).numpy())
        masks = (mask > 0).cpu()
    elif holds_file(mask):
        masks = torch.from_numpy(from_picture(mask))
    else:
        array = np.asarray(mask)
        check_values(array)
        if not tensor and array.ndim == 3 and array.shape[:2] == size and 1 <= array.shape[2] <= 4:
            array = of_picture(array)
        masks = torch.from_numpy(array > 0)
    shape = tuple(masks.shape)
    if masks.ndim == 4 and masks.shape[1] == 1:
        masks = masks[:, 0]
    masks = masks[None] if masks.ndim == 2 else masks
    count = len(image) if tensor else 1
    if tuple(masks.shape[1:]) != size or len(masks) not in (1, count) or masks.ndim != 3:
        raise DataError(
            "the mask is {mask_shape} and the image {height}×{width}: they must be of one size",
            id="inpaint.mask-size",
            mask_shape="×".join(map(str, shape)),
            height=size[0],
            width=size[1],
        )
    if pixels:
        masks = torch.from_numpy(np.stack([grow(mask_plane, pixels) for mask_plane in masks.numpy()]))
    if bool(masks.flatten(1).all(1).any()):
        raise DataError(
            "the mask hides the whole image, so nothing is left to fill it from; every value above 0 is "
            "missing, or "
            "every pixel that is not transparent",
            id="inpaint.mask-full",
        )
    return masks.expand(count, -1, -1)


def _fill_holes(
    network: Autoencoder, image: Any, missing: Tensor, ensemble: bool, out: Any
) -> Iterator[float]:
    """Write the filled image into `out`; yields the share that is done."""
    how = network.recipe.corruption
    cut = can_be_cut(network)
    beyond = _average_cells(image, missing) if cut and how.fills_smoothly else None
    for piece in iter_pieces(image, out, cut=cut):
        hidden = missing[piece.place.outer][None, None]
        if bool(hidden[(..., *piece.place.kept)].any()):
            far = None
            if beyond is not None:
                rows, columns = (slice(s.start // CELL, -(-s.stop // CELL)) for s in piece.place.outer)
                far = beyond[..., rows, columns]
            piece.write(_fill_piece(network, piece.batch, hidden, far, ensemble))
        else:
            piece.write(piece.batch)
        yield piece.share


def _fill_piece(
    network: Autoencoder, batch: Tensor, hidden: Tensor, far: Tensor | None, ensemble: bool
) -> Tensor:
    """`batch (1, C, h, w)` with the `hidden (1, 1, h, w)` pixels filled; `far`: means of the cells there."""
    device, channels = next(network.parameters()).device, network.channels
    height, width = batch.shape[-2:]
    visible_pixels = _to_network(batch.to(device), channels)
    hidden = hidden.to(device).expand(len(visible_pixels), -1, -1, -1)
    if can_be_cut(network):
        visible_pixels = widened(visible_pixels, network.multiple)
        hidden = widened(hidden.float(), network.multiple) > 0
    means = None if far is None else _to_network(far.to(device), channels)
    shown = holes(visible_pixels, hidden, network.recipe.corruption, means)
    one_by_one = [
        reconstruct(network, visible_pixels[i : i + 1], shown.select(i), ensemble=ensemble)
        for i in range(len(visible_pixels))
    ]
    return _from_network(torch.cat(one_by_one)[..., :height, :width], batch.shape[1])


def _blank(image: Any, missing: Tensor, value_range: Range | None) -> Any:
    """The image with black in missing pixels, whose values are not used."""
    black, _ = check_range(value_range) or (0.0, 1.0)
    if isinstance(image, Tensor):
        tensor = image.detach().clone()
        colour_of(tensor)[missing[:, None].expand_as(colour_of(tensor)).to(tensor.device)] = black
        return tensor
    blanked = np.array(image)
    if blanked.dtype.kind in "iu":
        black = float(np.clip(black, np.iinfo(blanked.dtype).min, np.iinfo(blanked.dtype).max))
    colour_of(blanked)[missing[0].numpy()] = black
    return blanked


def _replace_colour(image: Any, missing: Tensor, filled: Any) -> Any:
    """A copy of the image with the colour of `filled` where it is missing."""
    if isinstance(image, Tensor):
        copy = image.detach().clone()
        colour = colour_of(copy)
        colour.copy_(torch.where(missing[:, None].to(copy.device), colour_of(filled), colour))
        return copy
    replaced = np.array(image)
    colour_of(replaced)[missing[0].numpy()] = colour_of(filled)[missing[0].numpy()]
    return replaced


def _to_network(image: Tensor, channels: int) -> Tensor:
    """`(1, C, H, W)`: gray for a colour network as equal channels, colour for a gray one by planes."""
    if image.shape[1] == channels:
        return image
    return image.expand(-1, 3, -1, -1) if channels == 3 else to_planes(image)


def _from_network(image: Tensor, channels: int) -> Tensor:
    """The inverse of `_to_network`."""
    if image.shape[1] == channels:
        return image
    return image.mean(1, keepdim=True) if channels == 1 else from_planes(image).clamp(0, 1)


def _average_cells(image: Any, missing: Tensor) -> Tensor:
    """What `fill` reads for holes wider than its cells: `(1, C, ⌈H/64⌉, ⌈W/64⌉)`, gathered in strips."""
    tensor = isinstance(image, Tensor)
    height = int(image.shape[-2] if tensor else image.shape[0])
    averages, visible = [], []
    for top in range(0, height, 4 * CELL):
        rows = slice(top, top + 4 * CELL)
        batch, _ = to_batch(
            image[..., rows, :] if tensor else image[rows], many=None if tensor else False, bounds=NOISY
        )
        values, any_known = cells(batch, ~missing[rows][None, None])
        averages.append(values)
        visible.append(any_known)
    return fill_cells(torch.cat(averages, 2), torch.cat(visible, 2))
