"""How far maps of units can be trusted: faithfulness over several images, with an interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.features.explain.faithfulness import Curves, Maps, faithfulness
from isthmus.features.explain.maps import gradient_maps, occlusion_maps
from isthmus.features.explain.units import Units, per_unit
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
from isthmus.model.autoencoder import Autoencoder

MAP_KINDS: dict[str, Maps] = {"gradient": gradient_maps, "occlusion": occlusion_maps}


@dataclass(frozen=True)
class FaithfulnessScore:
    """How much faster a unit changes when pixels go or come in the map's order than in random orders.

    Attributes:
        deletion: area gained when pixels are taken away, mean over images; 0 is a map without information.
        deletion_half_width: half the width of its 95 % interval; null for a single image.
        insertion: area gained when pixels are put in.
        insertion_half_width: half the width of its 95 % interval.
    """

    deletion: float
    deletion_half_width: float | None
    insertion: float
    insertion_half_width: float | None


def score_maps(
    model: Autoencoder,
    images: ImageSet,
    usual: Units,
    count: int,
    *,
    seed: int,
    report: Callable[[int], None] = lambda _done: None,
    stop: Interruption | None = None,
) -> tuple[dict[str, FaithfulnessScore], dict[str, Curves]]:
    """Scores and mean curves of each kind of map, over images with their own most informative units.

    Args:
        usual: the units over a set of images.
        count: units per image.
        seed: of the random orders.
        report: called with the number of images that are done.
        stop: catches Ctrl-C; the scores are those of the images until then.
    """
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in MAP_KINDS}
    curves: dict[str, list[Curves]] = {name: [] for name in MAP_KINDS}
    with stop or nullcontext():
        for index in range(len(images)):
            pixels = model_input(model, images, index)
            base = base_image(usual, pixels)
            chosen = usual.telling(per_unit(model.encode_batch(pixels[None]).detach())[0], count)
            for name, make in MAP_KINDS.items():
                generator = torch.Generator().manual_seed(seed + index)
                maps = make(model, pixels, base, chosen)
                per_image = faithfulness(model, pixels, base, maps, chosen, generator=generator)
                if per_image:
                    deletions, insertions = zip(*(one.scores for one in per_image), strict=True)
                    gains[name].append((statistics.fmean(deletions), statistics.fmean(insertions)))
                    curves[name] += per_image
            report(index + 1)
    scores = {name: _score(pairs) for name, pairs in gains.items() if pairs}
    return scores, {name: _mean(found) for name, found in curves.items() if found}


def model_input(model: Autoencoder, images: ImageSet, index: int) -> Tensor:
    """`(C, H, W)` of one image, at the size that the encoder reads."""
    batch, _ = to_batch(images.image(index), many=False)
    return model.to_canvas(batch)[0]


def base_image(usual: Units, pixels: Tensor) -> Tensor:
    """The mean image of the set, at the size of `pixels (C, H, W)`: what maps take pixels away to."""
    if usual.image.shape == pixels.shape:
        return usual.image
    resized = torch.nn.functional.interpolate(
        usual.image[None], pixels.shape[-2:], mode="bilinear", antialias=True
    )
    return resized[0]


def _score(pairs: list[tuple[float, float]]) -> FaithfulnessScore:
    deletions, insertions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return FaithfulnessScore(
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
