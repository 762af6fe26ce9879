"""Feature extractor: from a layer of a trained model to one vector per image, without labels.

    layer → rectify → pool → root → standardise = features → principal components, whitened = compact features

`FeatureSpec` chooses the layer, rectification and pooling; means, deviations and principal components are
fitted to unlabelled images. The model file holds both as the attachment `readout`; `encode` and `decode` do
not use it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import ModelFileError, UsageError
from isthmus.features.layers import CODE, activations, check_layer
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import principal_subspace
from isthmus.model.attachment_check import (
    DAMAGE,
    Rule,
    check_tensors,
    check_values,
    number,
    sides,
    whole_number,
)
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import Rows
from isthmus.model.tensors import resize_images

NAME = "readout"

MAX_FIT_IMAGES = 10_000

MIN_SPREAD = 1e-3  # of the widest component

MAX_POOLED_NUMBERS = 16_384

MAX_READING_PIXELS = 2**22  # of the size that a stored readout resizes images to

NUMBERS_PER_PASS = 2**20  # more leaves the processor's cache, and is slower

Features = npt.NDArray[np.float32]

Listener = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """The layer that is read, and how it is pooled.

    Attributes:
        layer: `code`, `filters`, or a stage of the encoder (`isthmus.features.layers.layer_names`).
        size: `(H, W)` that every image is resized to first.
        rectify: `signs`: max(0, a − threshold) and max(0, −a − threshold) apart (Coates and Ng 2011);
            `mean`: what is above the mean of all channels at a place (the triangle of Coates, Lee and Ng
            2011, for directions); `none`.
        pool: maps are averaged in grids of these sides, for example 1 and 2: whole, and quadrants. Empty
            keeps every place.
        power: pooled numbers are raised to this, sign kept; 0.5 evens out bursts (Perronnin et al. 2010).
        compact: numbers of the compact features.
        whiten: exponent on the components' deviations: 1 whitens, 0 leaves the components as they are.
    """

    layer: str = CODE
    size: tuple[int, int] = (0, 0)
    rectify: Literal["none", "signs", "mean"] = "none"
    threshold: float = 0.75
    pool: tuple[int, ...] = ()
    power: float = 1.0
    compact: int = 256
    whiten: float = 0.5


@dataclass(frozen=True)
class FeatureExtractor:
    """A reading with its fitted tensors: `mean`, `deviation` (D,), `basis` (d, D), `spread` (d,)."""

    reading: FeatureSpec
    mean: Tensor
    deviation: Tensor
    basis: Tensor
    spread: Tensor

    def standardise(self, pooled: Tensor) -> Tensor:
        """`(n, D)` pooled numbers → mean 0 and variance 1 on the images it was fitted to."""
        if pooled.shape[1] != len(self.mean):
            raise ModelFileError(
                "the feature extractor expects {expected} numbers per image, but the model gives {given}",
                id="features.readout-width",
                expected=len(self.mean),
                given=pooled.shape[1],
            )
        return (pooled - self.mean) / self.deviation

    def compact(self, standardised: Tensor) -> Tensor:
        """`(n, D)` → `(n, d)` of length 1: principal components, partly or wholly whitened."""
        components = standardised @ self.basis.T / self.spread**self.reading.whiten
        return F.normalize(components, dim=1)


def default_spec(model: Autoencoder) -> FeatureSpec:
    """The code itself; for a `filters` model its answers at every pixel, rectified and pooled."""
    size = model.size
    dense = model.recipe.backbone.dense_layer
    if dense is not None:
        channels = model.recipe.geometry.channels
        side = 3 if 2 * channels * 3**2 <= MAX_POOLED_NUMBERS else 2
        return FeatureSpec(layer=dense, size=size, rectify="signs", pool=(side,), power=0.5)
    pool = (1, 2, 4) if model.recipe.geometry.is_grid and max(size) > 64 else ()
    return FeatureSpec(layer=CODE, size=size, pool=pool)


def pool_batch(model: Autoencoder, images: Tensor, reading: FeatureSpec) -> Tensor:
    """`images (n, C, H, W)` in [0, 1] → `(n, D)` numbers, before anything fitted."""
    return pool_maps(activations(model, resize_images(images, reading.size), reading.layer), reading)


class LayerReader:
    """The answers of the layer that an extractor reads.

    Those to the last tiles are kept, since the next score often reads the same tiles.
    """

    def __init__(self, model: Autoencoder, extractor: FeatureExtractor) -> None:
        self.model, self.extractor = model, extractor
        self._last: tuple[Tensor, Tensor] | None = None

    def read(self, tiles: Tensor) -> Tensor:
        """As `layers.activations`; not to be changed."""
        if self._last is None or not torch.equal(self._last[0], tiles):
            reading = self.extractor.reading
            maps = activations(self.model, resize_images(tiles, reading.size), reading.layer)
            self._last = (tiles, maps)
        return self._last[1]


def pool_maps(maps: Tensor, reading: FeatureSpec) -> Tensor:
    """What `isthmus.features.layers.activations` gives → `(n, D)` numbers; the maps stay as they are."""
    if maps.ndim == 2:
        maps = maps[:, :, None, None]
    match reading.rectify:
        case "signs":
            t = reading.threshold
            parts = [_pool_sides((maps - t).clamp_min_(0), reading.pool)]
            parts.append(_pool_sides((-maps).sub_(t).clamp_min_(0), reading.pool))
            pooled = torch.cat(parts, 1)
        case "mean":
            pooled = _pool_sides((maps - maps.mean(1, keepdim=True)).clamp_min_(0), reading.pool)
        case _:
            pooled = _pool_sides(maps, reading.pool)
    if reading.power == 1:
        return pooled
    size = pooled.abs()
    return (size.sqrt() if reading.power == 0.5 else size**reading.power) * pooled.sign()


def _pool_sides(maps: Tensor, sides: tuple[int, ...]) -> Tensor:
    if not sides:
        return maps.flatten(1)
    return torch.cat([F.adaptive_avg_pool2d(maps, side).flatten(1) for side in sides], 1)


def iter_pooled(model: Autoencoder, images: ImageSet, reading: FeatureSpec) -> Iterator[Tensor]:
    """`pool_batch` over a whole set, in its order, a few images at a time."""
    first = next(iter(iter_batches(images, [0], batch=1)))
    with torch.no_grad():
        numbers = activations(model, resize_images(first.images, reading.size), reading.layer).numel()
        per_pass = max(1, min(256, NUMBERS_PER_PASS // max(1, numbers)))
        for batch in iter_batches(images, batch=per_pass):
            yield check_values(pool_batch(model, batch.images, reading))


def fit_extractor(
    model: Autoencoder, images: ImageSet, reading: FeatureSpec | None = None, *, seed: int = 0
) -> FeatureExtractor:
    """Fit mean, deviation and principal components to images, at most 10,000 of them, without labels.

    Raises:
        UsageError: the model has no such layer.
    """
    reading = default_spec(model) if reading is None else reading
    check_layer(model, reading.layer)
    if reading.size == (0, 0):
        reading = dataclasses.replace(reading, size=model.size)
    some = np.sort(np.random.default_rng(seed).permutation(len(images))[:MAX_FIT_IMAGES])
    pooled = torch.cat(list(iter_pooled(model, images.subset(some), reading)))
    mean = pooled.mean(0)
    deviation = pooled.std(0, unbiased=False)
    # A number that hardly varies carries no information; dividing by its deviation would only raise noise.
    deviation = deviation.clamp_min(max(1e-6, 1e-2 * float(deviation.median())))
    standardised = (pooled - mean) / deviation
    count = max(1, min(reading.compact, standardised.shape[1], len(some) - 1))
    subspace = principal_subspace([standardised], count, seed=seed)
    spread = (standardised @ subspace.basis.T).std(0, unbiased=False)
    # Whitening would raise what rounding leaves of a component that hardly varies.
    spread = spread.clamp_min(max(1e-6, MIN_SPREAD * float(spread.max())))
    return FeatureExtractor(reading, mean, deviation, subspace.basis, spread)


def extractor_state(readout: FeatureExtractor) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON facts that a file can hold."""
    tensors = {
        f.name: getattr(readout, f.name) for f in dataclasses.fields(FeatureExtractor) if f.name != "reading"
    }
    return tensors, dataclasses.asdict(readout.reading)


def extractor_from_state(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> FeatureExtractor:
    """The inverse of `extractor_state`.

    Raises:
        LookupError, TypeError, ValueError: they are not a readout.
    """
    size = sides(facts, "size", count=(2, 2), high=65_536)
    if size[0] * size[1] > MAX_READING_PIXELS or facts["rectify"] not in ("none", "signs", "mean"):
        raise ValueError("its size is too large, or its way to rectify unknown")
    check_tensors(
        tensors,
        {
            "mean": Rule("D"),
            "deviation": Rule("D", low=1e-18),
            "basis": Rule("d", "D"),
            "spread": Rule("d", low=1e-18),
        },
    )
    reading = FeatureSpec(
        layer=str(facts["layer"]),
        size=(size[0], size[1]),
        rectify=facts["rectify"],
        threshold=number(facts, "threshold", -1e6, 1e6),
        pool=sides(facts, "pool", count=(0, 8), high=64),
        power=number(facts, "power", 0.01, 10),
        compact=whole_number(facts, "compact", 1, 2**24),
        whiten=number(facts, "whiten", 0, 10),
    )
    parts = {name: tensors[name].float() for name in ("mean", "deviation", "basis", "spread")}
    return FeatureExtractor(reading, **parts)


def attach_extractor(model: Autoencoder, readout: FeatureExtractor) -> None:
    """Attach a readout to a model in memory, its components, by far the largest part, in half precision;
    `model.save` writes it.
    """
    tensors, facts = extractor_state(readout)
    attach(model, NAME, {**tensors, "basis": tensors["basis"].half()}, facts)


def read_extractor(model: Autoencoder) -> FeatureExtractor | None:
    """The readout in a model, or None.

    Raises:
        ModelFileError: the attachment is damaged.
    """
    attachment = model.attachments.get(NAME)
    if attachment is None:
        return None
    try:
        readout = extractor_from_state(attachment.tensors, attachment.facts)
        check_layer(model, readout.reading.layer)
    except (UsageError, *DAMAGE) as error:
        raise ModelFileError(
            "this model's feature extractor is damaged: {reason}", id="features.readout-damaged", reason=error
        ) from error
    return readout


@torch.no_grad()
def iter_features(
    model: Autoencoder, images: ImageSet, readout: FeatureExtractor, *, compact: bool = False
) -> Iterator[Features]:
    """The vectors of `extract_features` in parts, in the order of the images."""
    for pooled in iter_pooled(model, images, readout.reading):
        part = readout.standardise(pooled)
        yield (readout.compact(part) if compact else part).numpy()


def extract_features(
    model: Autoencoder,
    images: ImageSet,
    readout: FeatureExtractor,
    *,
    compact: bool = False,
    listener: Listener | None = None,
) -> Features:
    """One feature vector per image: `(N, D)` standardised, or `(N, d)` compact and of length 1; float32."""
    result = Rows(len(images))
    for part in iter_features(model, images, readout, compact=compact):
        result.add(part)
        if listener is not None:
            listener(len(result), len(images))
    return result.array
