"""`isthmus.explain`: one image and its code, unit by unit, as numbers, pictures and one page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import DataError
from isthmus.evaluation.passes import evenly
from isthmus.evaluation.training_data import read_for, training_images
from isthmus.features.explain.faithfulness import Curves, Maps, faithfulness
from isthmus.features.explain.maps import gradient_maps, occlusion_maps
from isthmus.features.explain.paintings import atlas, traversals
from isthmus.features.explain.units import Units, observe_units, per_unit
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited

SCHEMA = "isthmus.explain/1"
SET_IMAGES = 5000  # looked at for what is usual
FAITHFUL_IMAGES = 16
EXCITING = 9
DICTIONARY = 256
KINDS: dict[str, Maps] = {"gradient": gradient_maps, "occlusion": occlusion_maps}

Listener = Callable[[float], None]


@dataclass(frozen=True)
class Score:
    """Mean gain over random orders, and half the width of its 95 % interval; see `faithfulness`."""

    deletion: float
    deletion_half_width: float | None
    insertion: float
    insertion_half_width: float | None


@dataclass(frozen=True)
class Explanation:
    """What was found for one image.

    Attributes:
        image: `(C, H, W)`, at the size that the encoder sees; reconstruction: the same.
        name, source: of the image, and of the set that its units are compared with.
        chosen: units, farthest from their mean first; values: `(K,)` of all units.
        units: how each behaves over the set; set_images: that set.
        maps: kind → `(len(chosen), H, W)`.
        scores: kind → how far such maps can be believed; curves: kind → mean curves.
        atlas, traversals: see `paintings`; dictionary: `(n, C, H, W)` of a sparse code, else None.
    """

    name: str
    source: str
    image: Tensor
    reconstruction: Tensor
    chosen: list[int]
    values: Tensor
    units: Units
    set_images: ImageSet
    maps: dict[str, Tensor]
    scores: dict[str, Score]
    curves: dict[str, Curves]
    atlas: Tensor
    traversals: Tensor
    dictionary: Tensor | None

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.explain/1"."""
        return {
            "schema": SCHEMA,
            "image": self.name,
            "data": self.source,
            "images": len(self.set_images),
            "units": [
                {
                    "unit": unit,
                    "value": float(self.values[unit]),
                    "mean": float(self.units.mean[unit]),
                    "deviation": float(self.units.deviation[unit]),
                    "active": float(self.units.active[unit]),
                    "exciting": [self.set_images.names[i] for i in self.units.exciting(unit, EXCITING)],
                }
                for unit in self.chosen
            ],
            "faithfulness": {name: vars(score) for name, score in self.scores.items()},
        }


@limited()
def explain(
    model: Autoencoder,
    image: Any,
    *,
    data: Any = None,
    units: int | Sequence[int] = 8,
    believed: int = FAITHFUL_IMAGES,
    seed: int = 0,
    listener: Listener = lambda _: None,
) -> Explanation:
    """Explain the code of one image.

    Args:
        image: what `isthmus.read` takes; of several images the first.
        data: images that say what is usual; by default the training images, where they are found.
        units: how many units, or which ones.
        believed: how many images of the set the maps are put to the test on; 0 leaves the test out.
        seed: of the random orders that maps are compared with.
        listener: called with the share that is done.

    Raises:
        CapabilityError: the model's code does not hold the image.
        DataError: no such images; `data` is not given and the training images are not found; or a unit that
            the code does not have.
    """
    capabilities.check_use(model.recipe, "decode")
    one = read_for(model, image)
    known = read_for(model, data) if data is not None else training_images(model)[0]
    if known is None:
        raise DataError(
            "the training images were not found, and units are compared with what is usual",
            hint="add --data DATA",
        )
    some = evenly(known, SET_IMAGES)
    usual = observe_units(model, some)
    listener(0.2)
    seen = _seen(model, one, 0)
    code = model.encode_batch(seen[None]).detach()
    values = per_unit(code)[0]
    chosen = _chosen(units, usual, values)
    base = _base(usual, seen)
    maps = {name: make(model, seen, base, chosen) for name, make in KINDS.items()}
    listener(0.3)
    scores, means = _believed(
        model, evenly(some, believed) if believed else some.subset([]), usual, len(chosen), seed, listener
    )
    dictionary = None
    if model.recipe.bottleneck.is_sparse:
        often = torch.argsort(usual.active, descending=True, stable=True)
        alive = [int(unit) for unit in often[:DICTIONARY] if usual.active[unit] > 0]
        dictionary = atlas(model, usual, alive) if alive else None
    painted = atlas(model, usual, chosen)
    listener(1.0)
    return Explanation(
        name=one.names[0],
        source=some.source,
        image=seen,
        reconstruction=model.reconstruct_batch(seen[None])[0],
        chosen=chosen,
        values=values,
        units=usual,
        set_images=some,
        maps=maps,
        scores=scores,
        curves=means,
        atlas=painted,
        traversals=traversals(model, code[0], usual, chosen),
        dictionary=dictionary,
    )


def _seen(model: Autoencoder, images: ImageSet, index: int) -> Tensor:
    """`(C, H, W)`, on the canvas of a vector code."""
    batch, _ = to_batch(images.image(index))
    return model.to_canvas(batch)[0]


def _base(usual: Units, seen: Tensor) -> Tensor:
    if usual.image.shape == seen.shape:
        return usual.image
    resized = torch.nn.functional.interpolate(
        usual.image[None], seen.shape[-2:], mode="bilinear", antialias=True
    )
    return resized[0]


def _chosen(units: int | Sequence[int], usual: Units, values: Tensor) -> list[int]:
    if isinstance(units, int):
        return usual.telling(values, units)
    for unit in units:
        if not 0 <= unit < len(values):
            raise DataError(f"this code has units 0 to {len(values) - 1}, not {unit}")
    return list(units)


def _believed(
    model: Autoencoder, images: ImageSet, usual: Units, count: int, seed: int, listener: Listener
) -> tuple[dict[str, Score], dict[str, Curves]]:
    """Scores and mean curves over some images of the set, each with its own most telling units."""
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in KINDS}
    found: dict[str, list[Curves]] = {name: [] for name in KINDS}
    for index in range(len(images)):
        seen = _seen(model, images, index)
        base = _base(usual, seen)
        chosen = usual.telling(per_unit(model.encode_batch(seen[None]).detach())[0], count)
        for name, make in KINDS.items():
            generator = torch.Generator().manual_seed(seed + index)
            per_image = faithfulness(
                model, seen, base, make(model, seen, base, chosen), chosen, generator=generator
            )
            if per_image:
                deletions, insertions = zip(*(one.scores for one in per_image), strict=True)
                gains[name].append((statistics.fmean(deletions), statistics.fmean(insertions)))
                found[name] += per_image
        listener(0.3 + 0.6 * (index + 1) / len(images))
    scores = {name: _score(pairs) for name, pairs in gains.items() if pairs}
    return scores, {name: _mean(list_of) for name, list_of in found.items() if list_of}


def _score(pairs: list[tuple[float, float]]) -> Score:
    deletions, insertions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Score(
        statistics.fmean(deletions), _half(deletions), statistics.fmean(insertions), _half(insertions)
    )


def _half(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def _mean(found: list[Curves]) -> Curves:
    names = ("deletion", "insertion", "random_deletion", "random_insertion")
    return Curves(*(torch.stack([getattr(one, name) for one in found]).mean(0) for name in names))
