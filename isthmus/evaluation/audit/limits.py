"""How much may be left of a near duplicate: the audit distorts some of the images at hand and sees.

Several limits, from cheap to exact, each let at least 99.8 % of the distorted copies through. The last,
`usual`, is a factor: what is left of a pair against what distortions usually leave of these very two images,
for a plain pair of trousers must come out cleaner than a striped shirt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.evaluation.audit.alignment import residue, tangent_error
from isthmus.evaluation.audit.canvases import Canvases, of_pixels
from isthmus.evaluation.audit.descriptor import fit_descriptor
from isthmus.evaluation.audit.distortions import KINDS, Distortion, as_levels, together
from isthmus.images.store import ImageSet, Indices, Pixels

DESCRIPTOR_IMAGES = 4000
LIMIT_PAIRS = 800
LET_THROUGH = 0.998
COARSE_STEPS = 1
SIEVE_SLACK = 1.15  # of the cheap sieves, which let more through than they must
ERROR_SLACK = 1.1  # different images are far beyond these limits, so a little slack costs nothing
RELATIVE_SLACK = 1.5
DRAWS = 8  # distorted copies of an image that tell what is usually left of it
USUAL_PAIRS = 200
USUAL_SLACK = 1.1
LEAST_LEFT = 0.5 / 255  # rounding alone leaves this much
PIXELS = 2**26  # read for fitting; a few hundred photographs are enough


@dataclass(frozen=True)
class Limits:
    """Largest residues of a near duplicate, on [0, 1]; `usual` is a factor, see the module."""

    tangent: float
    coarse: float
    error: float
    relative: float
    chroma: float
    usual: float


class Usual:
    """What distortions usually leave of an image, worked out once for each that is asked for."""

    def __init__(self, images: ImageSet, size: tuple[int, int], seed: int) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._known: dict[int, float] = {}

    def __call__(self, index: int) -> float:
        if index not in self._known:
            image = as_levels(self._images.image(index))
            self._known[index] = _usually_left(image, self._size, np.random.default_rng([self._seed, index]))
        return self._known[index]


def find_limits(
    images: ImageSet,
    drawn: Canvases,
    kept: Tensor,
    size: tuple[int, int],
    random: np.random.Generator,
    seed: int,
) -> Limits:
    chosen = _some(images, kept, LIMIT_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(LIMIT_PAIRS, 16 * len(chosen))))
    changed = _distorted(images, chosen, [*KINDS.values(), together], size, random)
    straight = [n for n in range(len(chosen)) if n % (len(KINDS) + 1) != list(KINDS).index("mirror")]
    first, second = drawn[torch.from_numpy(chosen[straight])], changed[torch.tensor(straight)]
    fine = residue(first.gray, second.gray)

    def limit(values: Tensor) -> float:
        return float(values.quantile(LET_THROUGH))

    small, small_second = half(first.gray), half(second.gray)
    every = torch.arange(len(small))
    return Limits(
        tangent=SIEVE_SLACK * limit(tangent_error(small, every, small_second)),
        coarse=SIEVE_SLACK * limit(residue(first.gray, second.gray, steps=COARSE_STEPS).error),
        error=ERROR_SLACK * limit(fine.error),
        relative=RELATIVE_SLACK * limit(fine.relative),
        chroma=RELATIVE_SLACK * limit(chroma_error(first.chroma, second.chroma)),
        usual=USUAL_SLACK * _usual_limit(images, kept, size, random, seed),
    )


def find_descriptor(
    images: ImageSet, drawn: Canvases, kept: Tensor, size: tuple[int, int], random: np.random.Generator
) -> Tensor:
    chosen = _some(images, kept, DESCRIPTOR_IMAGES, random)
    changed = _distorted(images, chosen, [together], size, random)
    return fit_descriptor(drawn.gray[chosen], changed.gray)


def _usual_limit(
    images: ImageSet, kept: Tensor, size: tuple[int, int], random: np.random.Generator, seed: int
) -> float:
    """The largest factor seen between one distortion and what distortions usually leave of the same image."""
    chosen = _some(images, kept, USUAL_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(USUAL_PAIRS, 16 * len(chosen))))
    usual, kinds = Usual(images, size, seed), (KINDS["crop"], KINDS["jpeg"], together)
    factors = []
    for number, index in enumerate(chosen):
        image = as_levels(images.image(int(index)))
        changed = kinds[number % len(kinds)](image, random)
        error = _left(image, [changed], size)
        factors.append(float(error[0]) / ((usual(int(index)) + _usually_left(changed, size, random)) / 2))
    return max(factors)


def _usually_left(image: Pixels, size: tuple[int, int], random: np.random.Generator) -> float:
    return float(_left(image, [together(image, random) for _ in range(DRAWS)], size).mean()) + LEAST_LEFT


def _left(image: Pixels, changed: list[Pixels], size: tuple[int, int]) -> Tensor:
    drawn = of_pixels(np.stack([image, *changed]), size).gray
    return residue(drawn[:1].expand(len(changed), -1, -1), drawn[1:]).error


def _some(images: ImageSet, kept: Tensor, most: int, random: np.random.Generator) -> Indices:
    pixels = max(1, int(np.mean([images.image(int(i)).size for i in kept[:100]])))
    count = min(len(kept), most, max(16, PIXELS // pixels))
    return np.asarray(kept.numpy()[random.choice(len(kept), count, replace=False)])


def _distorted(
    images: ImageSet,
    chosen: Indices,
    kinds: list[Distortion],
    size: tuple[int, int],
    random: np.random.Generator,
) -> Canvases:
    made = [
        of_pixels(kinds[n % len(kinds)](as_levels(images.image(int(index))), random)[None], size)
        for n, index in enumerate(chosen)
    ]
    return Canvases(torch.cat([m.gray for m in made]), torch.cat([m.chroma for m in made]))


def half(gray: Tensor) -> Tensor:
    return F.avg_pool2d(gray[:, None], 2, ceil_mode=True)[:, 0] if min(gray.shape[-2:]) >= 16 else gray


def chroma_error(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).flatten(1).square().mean(1).sqrt() + 1e-6
