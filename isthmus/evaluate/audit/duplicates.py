"""Images that are there twice: exactly, or after a crop, a mirror, JPEG, or a change of brightness.

Exact ones by content hash. Near ones in sieves, each fitted to the images at hand: nearest descriptors
(`descriptor`, `candidates`), then alignments that are first cheap and at last exact (`alignment`). How much
may be left of a pair is found by distorting some of the images themselves: the limits let at least 99.8 % of
those through. What passes them all is at last compared with what distortions leave of these very two images,
for a plain pair of trousers must come out cleaner than a striped shirt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.evaluate.audit.alignment import residue, tangent_error
from isthmus.evaluate.audit.candidates import Candidates, nearest_pairs
from isthmus.evaluate.audit.canvases import Canvases, canvas_size, canvases, of_pixels
from isthmus.evaluate.audit.descriptor import describe, fit_descriptor
from isthmus.evaluate.audit.distortions import KINDS, Distortion, as_levels, together
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
PAIRS = 2**14  # looked at together
FLAT = 1.0 / 255  # canvases of less contrast show nothing to compare

Listener = Callable[[float], None]


@dataclass(frozen=True)
class Pair:
    """Two images of the set; `first < second`.

    Attributes:
        error: what is left after aligning them, root mean square on [0, 1]; 0 for exact copies.
        exact: every sample is the same; mirrored: one is the mirror image of the other.
    """

    first: int
    second: int
    error: float
    exact: bool = False
    mirrored: bool = False


@dataclass(frozen=True)
class Limits:
    """How much may be left of a near duplicate: found on distorted copies of the images themselves.

    `usual` is a factor of what distortions usually leave of the two images at hand.
    """

    tangent: float
    coarse: float
    error: float
    relative: float
    chroma: float
    usual: float


@dataclass(frozen=True)
class Duplicates:
    """Exact pairs link every copy to the first one; near pairs are sorted by what is left, least first."""

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]
    limits: Limits | None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (*self.exact, *self.near)


def find_duplicates(images: ImageSet, *, seed: int = 0, listener: Listener = lambda _: None) -> Duplicates:
    """Every pair of exact and near duplicates among N images.

    Time grows with N²: about two minutes for 70,000 images of 28×28 on one core. Memory: the canvases, 4 KB
    per image.

    Args:
        seed: of the distortions that the limits are found with.
        listener: called with the share that is done.
    """
    exact, firsts = _exact(images)
    size = canvas_size(images)
    drawn = canvases(images, size)
    flat = drawn.gray.flatten(1).std(1) < FLAT
    kept = torch.from_numpy(firsts)[
        ~flat[firsts]
    ]  # one of each; flat ones are all alike, and reported as such
    if len(kept) < 2:
        return Duplicates(exact, (), None)
    listener(0.02)
    random = np.random.default_rng(seed)
    projection = _descriptor(images, drawn, kept, size, random)
    listener(0.05)
    limits = _limits(images, drawn, kept, size, random, seed)
    listener(0.1)
    own = drawn[kept]
    near = _near(own, projection, limits, lambda share: listener(0.1 + 0.8 * share))
    order = sorted(near, key=lambda pair: pair.error)
    named = [Pair(int(kept[p.first]), int(kept[p.second]), p.error, False, p.mirrored) for p in order]
    usual = _Usual(images, size, seed)
    clear = []
    for number, pair in enumerate(named):
        if pair.error <= limits.usual * (usual(pair.first) + usual(pair.second)) / 2:
            clear.append(pair)
        listener(0.9 + 0.1 * (number + 1) / len(named))
    return Duplicates(exact, tuple(clear), limits)


def _exact(images: ImageSet) -> tuple[tuple[Pair, ...], Indices]:
    """Pairs (first, copy), and the indices of the first of each, in order."""
    _, first, inverse = np.unique(images.hashes(), return_index=True, return_inverse=True)
    of = first[inverse.reshape(-1)]
    copies = np.flatnonzero(of != np.arange(len(images)))
    return tuple(Pair(int(of[i]), int(i), 0.0, exact=True) for i in copies), np.sort(first).astype(np.int64)


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


def _descriptor(
    images: ImageSet, drawn: Canvases, kept: Tensor, size: tuple[int, int], random: np.random.Generator
) -> Tensor:
    chosen = _some(images, kept, DESCRIPTOR_IMAGES, random)
    changed = _distorted(images, chosen, [together], size, random)
    return fit_descriptor(drawn.gray[chosen], changed.gray)


def _limits(
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

    small, small_second = _half(first.gray), _half(second.gray)
    every = torch.arange(len(small))
    return Limits(
        tangent=SIEVE_SLACK * limit(tangent_error(small, every, small_second)),
        coarse=SIEVE_SLACK * limit(residue(first.gray, second.gray, steps=COARSE_STEPS).error),
        error=ERROR_SLACK * limit(fine.error),
        relative=RELATIVE_SLACK * limit(fine.relative),
        chroma=RELATIVE_SLACK * limit(_chroma(first.chroma, second.chroma)),
        usual=USUAL_SLACK * _usual_limit(images, kept, size, random, seed),
    )


def _usual_limit(
    images: ImageSet, kept: Tensor, size: tuple[int, int], random: np.random.Generator, seed: int
) -> float:
    """The largest factor seen between one distortion and what distortions usually leave of the same image."""
    chosen = _some(images, kept, USUAL_PAIRS, random)
    chosen = np.resize(chosen, max(len(chosen), min(USUAL_PAIRS, 16 * len(chosen))))
    usual, kinds = _Usual(images, size, seed), (KINDS["crop"], KINDS["jpeg"], together)
    factors = []
    for number, index in enumerate(chosen):
        image = as_levels(images.image(int(index)))
        changed = kinds[number % len(kinds)](image, random)
        error = _left(image, [changed], size)
        factors.append(float(error[0]) / ((usual(int(index)) + _usually_left(changed, size, random)) / 2))
    return max(factors)


class _Usual:
    """What distortions usually leave of an image, worked out once for each that is asked for."""

    def __init__(self, images: ImageSet, size: tuple[int, int], seed: int) -> None:
        self._images, self._size, self._seed = images, size, seed
        self._known: dict[int, float] = {}

    def __call__(self, index: int) -> float:
        if index not in self._known:
            image = as_levels(self._images.image(index))
            self._known[index] = _usually_left(image, self._size, np.random.default_rng([self._seed, index]))
        return self._known[index]


def _usually_left(image: Pixels, size: tuple[int, int], random: np.random.Generator) -> float:
    return float(_left(image, [together(image, random) for _ in range(DRAWS)], size).mean()) + LEAST_LEFT


def _left(image: Pixels, changed: list[Pixels], size: tuple[int, int]) -> Tensor:
    drawn = of_pixels(np.stack([image, *changed]), size).gray
    return residue(drawn[:1].expand(len(changed), -1, -1), drawn[1:]).error


def _near(drawn: Canvases, projection: Tensor, limits: Limits, listener: Listener) -> list[Pair]:
    mirrored = drawn.mirrored()
    searched = 0

    def block(count: int) -> None:
        nonlocal searched
        searched += count
        listener(0.4 * searched / len(drawn))

    found = nearest_pairs(describe(drawn.gray, projection), describe(mirrored.gray, projection), done=block)
    small, small_mirrored = _half(drawn.gray), _half(mirrored.gray)
    kept: list[Tensor] = []
    for n, part in enumerate(torch.split(torch.arange(len(found)), PAIRS)):
        some = found[part]
        some, part = _within_tangent(some, part, small, small_mirrored, limits)
        second = _oriented(drawn.gray, mirrored.gray, some)
        left = residue(drawn.gray[some.first], second, steps=COARSE_STEPS)
        kept.append(part[left.error <= limits.coarse])
        listener(0.4 + 0.4 * min(1.0, (n + 1) * PAIRS / max(len(found), 1)))
    found = found[torch.cat(kept)] if kept else found
    best: dict[tuple[int, int], Pair] = {}
    for n, part in enumerate(torch.split(torch.arange(len(found)), PAIRS)):
        some = found[part]
        left = residue(drawn.gray[some.first], _oriented(drawn.gray, mirrored.gray, some))
        colour = _chroma(drawn.chroma[some.first], _oriented(drawn.chroma, mirrored.chroma, some))
        good = (left.error <= limits.error) & (left.relative <= limits.relative) & (colour <= limits.chroma)
        for at in good.nonzero()[:, 0].tolist():
            pair = Pair(
                int(some.first[at]),
                int(some.second[at]),
                float(left.error[at]),
                False,
                bool(some.mirrored[at]),
            )
            known = best.get((pair.first, pair.second))
            if known is None or pair.error < known.error:
                best[pair.first, pair.second] = pair
        listener(0.8 + 0.2 * min(1.0, (n + 1) * PAIRS / max(len(found), 1)))
    return list(best.values())


def _within_tangent(
    pairs: Candidates, indices: Tensor, small: Tensor, mirrored: Tensor, limits: Limits
) -> tuple[Candidates, Tensor]:
    # Pairs come sorted by their first image, so that its tangents are worked out once for all its pairs.
    images, of = torch.unique(pairs.first, return_inverse=True)
    good = tangent_error(small[images], of, _oriented(small, mirrored, pairs)) <= limits.tangent
    return pairs[good], indices[good]


def _oriented(own: Tensor, mirrored: Tensor, pairs: Candidates) -> Tensor:
    """The second image of each pair, mirrored where it must be."""
    turned = pairs.mirrored.view(-1, *[1] * (own.ndim - 1))
    return torch.where(turned, mirrored[pairs.second], own[pairs.second])


def _half(gray: Tensor) -> Tensor:
    return F.avg_pool2d(gray[:, None], 2, ceil_mode=True)[:, 0] if min(gray.shape[-2:]) >= 16 else gray


def _chroma(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).flatten(1).square().mean(1).sqrt() + 1e-6
