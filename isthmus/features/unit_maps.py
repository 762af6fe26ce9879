"""Where in an image a unit looks: by gradients, and by covering one place after another.

Both are signed: positive where the image raises the unit above what it is for the mean image. Both measure
against the mean image, because nothing else represents "no information" in images of any kind.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.features.units import Units, pool_units, unit_values
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet
from isthmus.interruption import Interruption
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
            square = (slice(None), slice(top, top + side), slice(left, left + side))
            hidden[number][square] = base[square]
        falls = (uncovered - unit_values(model, hidden)[:, list(units)]) / side**2  # (n, units)
        for fall, (top, left) in zip(falls, part, strict=True):
            total[:, top : top + side, left : left + side] += fall.view(-1, 1, 1)
            covered[top : top + side, left : left + side] += 1
    return total / covered


def _patch_starts(length: int, side: int, step: int) -> list[int]:
    return sorted({*range(0, length - side, step), length - side})


CURVE_STEPS = 16

RANDOM_ORDERS = 4

MapFunction = Callable[[Autoencoder, Tensor, Tensor, Sequence[int]], Tensor]


@dataclass(frozen=True)
class Curves:
    """One unit of one image.

    Attributes:
        deletion, insertion: the unit's share, `(17,)`, as pixels go or come in the map's order.
        random_deletion, random_insertion: the same, mean of random orders.
    """

    deletion: Tensor
    insertion: Tensor
    random_deletion: Tensor
    random_insertion: Tensor

    @property
    def scores(self) -> tuple[float, float]:
        """Areas gained over random orders: (deletion, insertion)."""
        return (
            float((self.random_deletion - self.deletion).mean()),
            float((self.insertion - self.random_insertion).mean()),
        )


@torch.no_grad()
def measure_faithfulness(
    model: Autoencoder,
    image: Tensor,
    base: Tensor,
    maps: Tensor,
    units: Sequence[int],
    *,
    generator: torch.Generator,
) -> list[Curves]:
    """Curves of each unit whose value the image changes at all.

    Args:
        image, base: `(C, H, W)`; maps: `(len(units), H, W)`, signed as in `maps`.
    """
    count = image.shape[-2] * image.shape[-1]
    ends = unit_values(model, torch.stack([base, image]))
    orders = [torch.randperm(count, generator=generator) for _ in range(RANDOM_ORDERS)]
    random_curves = [_replace_in_order(model, image, base, order) for order in orders]
    curves = []
    for unit, unit_map in zip(units, maps, strict=True):
        low, high = ends[0, unit], ends[1, unit]
        if (high - low).abs() < 1e-6:
            continue
        towards = unit_map if high > low else -unit_map
        order = torch.argsort(towards.flatten(), descending=True, stable=True)
        deletion, insertion = _replace_in_order(model, image, base, order)

        def share(values: Tensor, unit: int = unit, low: Tensor = low, high: Tensor = high) -> Tensor:
            # A unit may overshoot; beyond twice the way this means nothing for the map.
            shares: Tensor = ((values[:, unit] - low) / (high - low)).clamp(-1, 2)
            return shares

        curves.append(
            Curves(
                share(deletion),
                share(insertion),
                torch.stack([share(d) for d, _ in random_curves]).mean(0),
                torch.stack([share(i) for _, i in random_curves]).mean(0),
            )
        )
    return curves


def _replace_in_order(
    model: Autoencoder, image: Tensor, base: Tensor, order: Tensor
) -> tuple[Tensor, Tensor]:
    """`(17, K)` twice: with more and more pixels of the image replaced, and of the base."""
    count = len(order)
    rank = torch.empty(count, dtype=torch.int64)
    rank[order] = torch.arange(count)
    cuts = torch.linspace(0, count, CURVE_STEPS + 1).round().view(-1, 1)
    chosen = (rank[None] < cuts).view(CURVE_STEPS + 1, 1, *image.shape[-2:])
    deleted, inserted = torch.where(chosen, base, image), torch.where(chosen, image, base)
    return unit_values(model, deleted), unit_values(model, inserted)


MAP_KINDS: dict[str, MapFunction] = {"gradient": gradient_maps, "occlusion": occlusion_maps}


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
            chosen = usual.rank_informative(pool_units(model.encode_batch(pixels[None]).detach())[0], count)
            for name, make in MAP_KINDS.items():
                generator = torch.Generator().manual_seed(seed + index)
                maps = make(model, pixels, base, chosen)
                per_image = measure_faithfulness(model, pixels, base, maps, chosen, generator=generator)
                if per_image:
                    deletions, insertions = zip(*(curve.scores for curve in per_image), strict=True)
                    gains[name].append((statistics.fmean(deletions), statistics.fmean(insertions)))
                    curves[name] += per_image
            report(index + 1)
    scores = {name: _average_scores(pairs) for name, pairs in gains.items() if pairs}
    return scores, {name: _mean_curves(parts) for name, parts in curves.items() if parts}


def model_input(model: Autoencoder, images: ImageSet, index: int) -> Tensor:
    """`(C, H, W)` of one image, at the size that the encoder reads."""
    batch, _ = to_batch(images.image(index), many=False)
    return model.canvas.fit(batch)[0]


def base_image(usual: Units, pixels: Tensor) -> Tensor:
    """The mean image of the set, at the size of `pixels (C, H, W)`: what maps take pixels away to."""
    if usual.image.shape == pixels.shape:
        return usual.image
    resized = torch.nn.functional.interpolate(
        usual.image[None], pixels.shape[-2:], mode="bilinear", antialias=True
    )
    return resized[0]


def _average_scores(pairs: list[tuple[float, float]]) -> FaithfulnessScore:
    deletions, insertions = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return FaithfulnessScore(
        statistics.fmean(deletions),
        _half_width(deletions),
        statistics.fmean(insertions),
        _half_width(insertions),
    )


def _half_width(values: list[float]) -> float | None:
    if len(values) < 2:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / math.sqrt(len(values))


def _mean_curves(curves: list[Curves]) -> Curves:
    names = ("deletion", "insertion", "random_deletion", "random_insertion")
    return Curves(*(torch.stack([getattr(curve, name) for curve in curves]).mean(0) for name in names))
