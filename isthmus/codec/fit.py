"""Tables for a trained model: its symbols on pictures → integer contexts and weights, stored in the model.

For each band of qualities, mean and scale of a logistic density, linear in the context, are fitted by
gradient descent. The fit starts from the contexts that the model learned in training, if any, and is used
only if held-out tiles take fewer bytes with it. It is rounded to integers; the symbols are counted under
these integer contexts, and the counts become the weights. Only this module calculates with floats; files are
read and written without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.codec import transform
from isthmus.codec.coder import Ints
from isthmus.codec.contexts import Contexts, has_learned_contexts, init_contexts, move_contexts
from isthmus.codec.counts import build_scale_bins, count_symbols
from isthmus.codec.grid import TILE_SIDE_PX
from isthmus.codec.picture import read_picture
from isthmus.codec.quantisation import quantise
from isthmus.codec.stored import ATTACHMENT, to_attachment
from isthmus.codec.symbols import encode_symbols
from isthmus.codec.tables import Band, Tables
from isthmus.errors import DataError
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Attachment, Autoencoder
from isthmus.threads import limited
from isthmus.training.optimisers import FusedAdamW

QUALITIES = (4.0, 20.0, 36.0, 52.0, 68.0, 84.0, 97.0)

FIRST_BAND_STEPS = 600  # of the first band's fit; each next one begins where the last ended

NEXT_BAND_STEPS = 150

MAX_POSITIONS = 60_000  # of the grid: beyond that more pictures change nothing that can be measured

_PROOF_SIDE = 6

_BATCH = 4

_RATE = 2e-3

_RATE_LEARNED = 1e-4  # contexts that a whole training has made lose by larger steps on few pictures

HELD_OUT_STRIDE = 6  # one tile in so many judges the fit

Listener = Callable[[int, int], None]


@limited()
def fit_tables(
    model: Autoencoder,
    images: Iterable[npt.NDArray[Any]],
    *,
    qualities: Sequence[float] = QUALITIES,
    steps: int = FIRST_BAND_STEPS,
    steps_next: int = NEXT_BAND_STEPS,
    positions: int = MAX_POSITIONS,
    seed: int = 0,
    listener: Listener | None = None,
) -> Tables:
    """Fit tables to `model` and attach them to it; `model.save` then writes them with it.

    Args:
        images: uint8 pictures (H, W) or (H, W, C) like those that will be compressed; the training pictures
            will do.
        qualities: 1 to 100, rising: one band each.
        steps: of the optimiser for the first band, and `steps_next` for each of the others.
        positions: of the code's grid, taken from as many of the images as give them.
        seed: decides the crops and the order.
        listener: called with (bands done, bands).

    Raises:
        CapabilityError: the model cannot compress.
        DataError: no images, or none of a kind that the model reads.
    """
    transform.check_codec(model)
    latents = [transform.compute_latents(model, crop) for crop in _crops(model, images, positions, seed)]
    # A fit to few pictures soon overfits; more steps would only take time.
    most = 20 + sum(values.shape[1] * values.shape[2] for values in latents) // 8
    bands: list[Band] = []
    contexts: Contexts | None = None
    learned = has_learned_contexts(model)
    rate = _RATE_LEARNED if learned else _RATE
    for number, quality in enumerate(qualities):
        if listener is not None:
            listener(number, len(qualities))
        tiles = [quantise(model, values, quality) for values in latents]
        if contexts is None or learned:  # what was learned at a quality is nearer than the band before
            contexts = init_contexts(model, quality)
        else:
            contexts = move_contexts(contexts, model, qualities[number - 1], quality)
        step = min(steps_next if number else steps, most)
        bands.append(fit_band(tiles, contexts, steps=step, rate=rate, seed=seed))
    middle = len(bands) // 2
    sample = quantise(model, latents[0], qualities[middle])[:, :_PROOF_SIDE, :_PROOF_SIDE]
    sample = np.ascontiguousarray(sample)
    tables = Tables(
        bands=tuple(bands),
        qualities=tuple(round(100 * q) for q in qualities),
        proof_symbols=sample,
        proof_bytes=encode_symbols(sample, bands[middle]),
        proof_band=middle,
    )
    facts, tensors = to_attachment(tables)
    model.attachments[ATTACHMENT] = Attachment(facts, tensors)
    if listener is not None:
        listener(len(qualities), len(qualities))
    return tables


def fit_band(
    tiles: Sequence[Ints], contexts: Contexts, *, steps: int, rate: float = _RATE, seed: int = 0
) -> Band:
    """The band that codes such tiles, each (C, h, w), in the fewest bytes found, starting from `contexts`.

    The fit uses an idealised density, so it is accepted only if held-out tiles take fewer bytes with it.
    `contexts` become those of the returned band.
    """
    held_out = tiles[::HELD_OUT_STRIDE] if len(tiles) >= 2 * HELD_OUT_STRIDE else []
    fitting = [tile for n, tile in enumerate(tiles) if n % HELD_OUT_STRIDE] if held_out else tiles
    start = {name: value.clone() for name, value in contexts.state_dict().items()}
    bytes_before = _count_bytes(contexts, fitting, held_out)
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        _minimise_bits(contexts, _stack_by_size(fitting), steps, rate, generator)
    if held_out and bytes_before <= _count_bytes(contexts, fitting, held_out):
        contexts.load_state_dict(start)
    return _count_band(contexts, tiles)


def _count_band(contexts: Contexts, tiles: Sequence[Ints]) -> Band:
    weights, bins = contexts.round_weights(), build_scale_bins()
    codes = count_symbols(weights, _stack_by_size(tiles), bins)
    is_silent = np.stack([~tile.any((1, 2)) for tile in tiles])
    silent = (is_silent.sum(0) + 0.5) / (len(tiles) + 1)
    return Band(
        **weights,
        **vars(bins),
        codes=codes,
        silent=np.clip(np.rint(silent * 2**24), 1, 2**24 - 1).astype(np.int32),
    )


def _count_bytes(contexts: Contexts, fitting: Sequence[Ints], held_out: Sequence[Ints]) -> int:
    """Bytes for `held_out` with weights counted on `fitting`."""
    if not held_out:
        return 0
    band = _count_band(contexts, fitting)
    return sum(len(encode_symbols(tile, band)) for tile in held_out)


def _minimise_bits(
    contexts: Contexts, groups: Sequence[Tensor], steps: int, rate: float, generator: torch.Generator
) -> None:
    batches = [part for group in groups for part in torch.split(group, _BATCH)]
    # Without decay it is Adam; PyTorch's own would load its compiler.
    optimiser = FusedAdamW(contexts.parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1, pct_start=0.2)
    order: list[int] = []
    for _ in range(steps):
        order = order or torch.randperm(len(batches), generator=generator).tolist()
        loss = contexts.bits(batches[order.pop()].float()).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()


def _crops(model: Autoencoder, images: Iterable[npt.NDArray[Any]], positions: int, seed: int) -> list[Tensor]:
    """Pieces (1, channels, H, W) of at most a tile, one per picture, until there are enough positions."""
    random = np.random.default_rng(seed)
    stride = model.recipe.geometry.stride
    assert stride is not None
    usable = []
    for image in images:
        pixels = read_picture(image).pixels
        if pixels.shape[2] == 3 and model.channels == 1:
            raise DataError(
                "this model codes gray images, and there are colour ones among those to fit its tables to",
                id="codec.colour-among-images",
            )
        usable.append(pixels)
    if not usable:
        raise DataError("no images to fit the codec's tables to", id="codec.no-images")
    crops: list[Tensor] = []
    left = positions
    for index in random.permutation(len(usable)):
        pixels = usable[index]
        top, bottom = _span(pixels.shape[0], random)
        begin, end = _span(pixels.shape[1], random)
        piece = torch.tensor(pixels[top:bottom, begin:end]).permute(2, 0, 1)[None]
        crops.append((piece.float() / 255).expand(-1, model.channels, -1, -1))
        left -= -(-piece.shape[2] // stride) * -(-piece.shape[3] // stride)
        if left <= 0:
            break
    return crops


def _span(extent: int, random: np.random.Generator) -> tuple[int, int]:
    if extent <= TILE_SIDE_PX:
        return 0, extent
    begin = int(random.integers(0, extent - TILE_SIDE_PX + 1))
    return begin, begin + TILE_SIDE_PX


def _stack_by_size(tiles: Sequence[Ints]) -> list[Tensor]:
    """Tiles of one size together, (N, C, h, w) each."""
    by_size: dict[tuple[int, ...], list[Tensor]] = {}
    for tile in tiles:
        by_size.setdefault(tile.shape, []).append(torch.from_numpy(tile))
    return [torch.stack(group) for group in by_size.values()]


MAX_PICTURES = 400  # that are looked at; each gives a tile at most


def fit_codec_to_images(
    model: Autoencoder,
    images: ImageSet,
    *,
    steps: int = FIRST_BAND_STEPS,
    seed: int = 0,
    listener: Callable[[int, int], None] | None = None,
) -> None:
    """`fit_tables` to at most `MAX_PICTURES` of a set.

    Raises:
        CapabilityError: the model cannot compress.
        DataError: images of a kind that the model does not read.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:MAX_PICTURES]
    pictures = (_to_eight_bits(images.image(int(i))) for i in np.sort(chosen))
    fit_tables(model, pictures, steps=steps, seed=seed, listener=listener)


def _to_eight_bits(image: np.ndarray) -> np.ndarray:
    """Whatever a data set holds, as the 8 bits that a file will hold."""
    if image.dtype == np.uint8:
        return image
    batch, _ = to_batch(image, many=False)
    eight: np.ndarray = (batch[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return eight
