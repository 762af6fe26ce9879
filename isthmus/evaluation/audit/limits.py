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

from isthmus.evaluation.audit.alignment import align, tangent_error
from isthmus.evaluation.audit.canvases import Thumbnails, shrink_pixels
from isthmus.evaluation.audit.descriptor import fit_descriptor
from isthmus.evaluation.audit.distortions import KINDS, Distortion, distort_all, to_levels
from isthmus.images.store import ImageSet, Indices, Pixels

DESCRIPTOR_IMAGES = 4000
LIMIT_PAIRS = 800
PASS_QUANTILE = 0.998
COARSE_STEPS = 1
SIEVE_SLACK = 1.15  # of the cheap sieves, which let more through than they must
ERROR_SLACK = 1.1  # different images are far beyond these limits, so a little slack costs nothing
RELATIVE_SLACK = 1.5
COPIES_PER_IMAGE = 8  # distorted copies of an image that tell what is usually left of it
USUAL_PAIRS = 200
USUAL_SLACK = 1.1
MIN_RESIDUAL = 0.5 / 255  # rounding alone leaves this much
MAX_FIT_PIXELS = 2**26  # read for fitting; a few hundred photographs are enough


@dataclass(frozen=True)
class Limits:
    """Largest residues of a near duplicate, on [0, 1]; `usual` is a factor, see the module."""

    tangent: float
    coarse: float
    error: float
    relative: float
    chroma: float
    usual: float


class UsualResidual:
    """What distortions usually leave of an image, worked out once for each that is asked for."""

    def __init__(self, images: ImageSet, size: tuple[int, int], seed: int) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._residuals: dict[int, float] = {}

    def __call__(self, index: int) -> float:
        if index not in self._residuals:
            image = to_levels(self._images.image(index))
            self._residuals[index] = _mean_residual(
                image, self._size, np.random.default_rng([self._seed, index])
            )
        return self._residuals[index]


def fit_limits(
    images: ImageSet,
    drawn: Thumbnails,
    unique: Tensor,
    size: tuple[int, int],
    random: np.random.Generator,
    seed: int,
) -> Limits:
    chosen = _sample_images(images, unique, LIMIT_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(LIMIT_PAIRS, 16 * len(chosen))))
    changed = _distort_images(images, chosen, [*KINDS.values(), distort_all], size, random)
    straight = [n for n in range(len(chosen)) if n % (len(KINDS) + 1) != list(KINDS).index("mirror")]
    first, second = drawn[torch.from_numpy(chosen[straight])], changed[torch.tensor(straight)]
    fine = align(first.gray, second.gray)

    def limit(values: Tensor) -> float:
        return float(values.quantile(PASS_QUANTILE))

    small, small_second = downscale(first.gray), downscale(second.gray)
    every = torch.arange(len(small))
    return Limits(
        tangent=SIEVE_SLACK * limit(tangent_error(small, every, small_second)),
        coarse=SIEVE_SLACK * limit(align(first.gray, second.gray, steps=COARSE_STEPS).error),
        error=ERROR_SLACK * limit(fine.error),
        relative=RELATIVE_SLACK * limit(fine.relative),
        chroma=RELATIVE_SLACK * limit(chroma_error(first.chroma, second.chroma)),
        usual=USUAL_SLACK * _fit_usual_factor(images, unique, size, random, seed),
    )


def fit_set_descriptor(
    images: ImageSet, drawn: Thumbnails, unique: Tensor, size: tuple[int, int], random: np.random.Generator
) -> Tensor:
    chosen = _sample_images(images, unique, DESCRIPTOR_IMAGES, random)
    changed = _distort_images(images, chosen, [distort_all], size, random)
    return fit_descriptor(drawn.gray[chosen], changed.gray)


def _fit_usual_factor(
    images: ImageSet, unique: Tensor, size: tuple[int, int], random: np.random.Generator, seed: int
) -> float:
    """The largest factor seen between one distortion and what distortions usually leave of the same image."""
    chosen = _sample_images(images, unique, USUAL_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(USUAL_PAIRS, 16 * len(chosen))))
    usual, kinds = UsualResidual(images, size, seed), (KINDS["crop"], KINDS["jpeg"], distort_all)
    factors = []
    for number, index in enumerate(chosen):
        image = to_levels(images.image(int(index)))
        changed = kinds[number % len(kinds)](image, random)
        error = _residuals_after(image, [changed], size)
        factors.append(float(error[0]) / ((usual(int(index)) + _mean_residual(changed, size, random)) / 2))
    return max(factors)


def _mean_residual(image: Pixels, size: tuple[int, int], random: np.random.Generator) -> float:
    return (
        float(
            _residuals_after(
                image, [distort_all(image, random) for _ in range(COPIES_PER_IMAGE)], size
            ).mean()
        )
        + MIN_RESIDUAL
    )


def _residuals_after(image: Pixels, changed: list[Pixels], size: tuple[int, int]) -> Tensor:
    drawn = shrink_pixels(np.stack([image, *changed]), size).gray
    return align(drawn[:1].expand(len(changed), -1, -1), drawn[1:]).error


def _sample_images(images: ImageSet, unique: Tensor, most: int, random: np.random.Generator) -> Indices:
    pixels = max(1, int(np.mean([images.image(int(i)).size for i in unique[:100]])))
    count = min(len(unique), most, max(16, MAX_FIT_PIXELS // pixels))
    return np.asarray(unique.numpy()[random.choice(len(unique), count, replace=False)])


def _distort_images(
    images: ImageSet,
    chosen: Indices,
    kinds: list[Distortion],
    size: tuple[int, int],
    random: np.random.Generator,
) -> Thumbnails:
    made = [
        shrink_pixels(kinds[n % len(kinds)](to_levels(images.image(int(index))), random)[None], size)
        for n, index in enumerate(chosen)
    ]
    return Thumbnails(torch.cat([m.gray for m in made]), torch.cat([m.chroma for m in made]))


def downscale(gray: Tensor) -> Tensor:
    return F.avg_pool2d(gray[:, None], 2, ceil_mode=True)[:, 0] if min(gray.shape[-2:]) >= 16 else gray


def chroma_error(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).flatten(1).square().mean(1).sqrt() + 1e-6
