"""Images that are there twice: exactly, or after a crop, a mirror, JPEG, or a change of brightness.

Exact ones by content hash. Near ones in several steps, each fitted to these images: nearest descriptors
(`descriptor`, `candidates`), then alignments that are first cheap and at last exact (`alignment`), held to
limits that are found by distorting some of the images themselves (`limits`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.evaluation.audit.alignment import align, tangent_error
from isthmus.evaluation.audit.duplicate_limits import (
    COARSE_STEPS,
    Limits,
    UsualResidual,
    chroma_error,
    downscale,
    fit_limits,
    fit_set_descriptor,
)
from isthmus.evaluation.audit.thumbnails import (
    Candidates,
    Thumbnails,
    compute_descriptors,
    find_candidates,
    make_thumbnails,
    stretch_samples,
    thumbnail_size,
)
from isthmus.images.store import ImageSet, Indices
from isthmus.interruption import Interruption

PAIRS_PER_BATCH = 2**14  # looked at together
PAIRS_PER_CHECK = 64  # held together against what distortions usually leave of them
MIN_CONTRAST = 1.0 / 255  # canvases of less contrast show nothing to compare

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
class Duplicates:
    """Exact pairs link every copy to the first one; near pairs are sorted by what is left, least first."""

    exact: tuple[Pair, ...]
    near: tuple[Pair, ...]
    limits: Limits | None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return (*self.exact, *self.near)


def find_duplicates(
    images: ImageSet,
    *,
    seed: int = 0,
    listener: Listener = lambda _: None,
    stop: Interruption | None = None,
) -> Duplicates:
    """Every pair of exact and near duplicates among N images.

    Time grows with N²: some minutes for 70,000 images of 28×28 on one core. Memory: the canvases, 4 KB
    per image.

    Args:
        seed: of the distortions that the limits are found with.
        listener: called with the share that is done.
        stop: catches Ctrl-C; then there are only the exact ones, which are found at once.
    """
    exact, firsts = _find_exact(images)
    images = stretch_samples(images)
    with stop or nullcontext():
        near, limits = _find_near_pairs(images, firsts, seed, listener)
        return Duplicates(exact, near, limits)
    return Duplicates(exact, (), None)


def _find_near_pairs(
    images: ImageSet, firsts: Indices, seed: int, listener: Listener
) -> tuple[tuple[Pair, ...], Limits | None]:
    """Near pairs among the `firsts`, one image of each content."""
    size = thumbnail_size(images)
    drawn = make_thumbnails(images, size)
    flat = drawn.gray.flatten(1).std(1) < MIN_CONTRAST
    # one of each; flat ones look the same, and are reported as such
    unique = torch.from_numpy(firsts)[~flat[firsts]]
    if len(unique) < 2:
        return (), None
    listener(0.02)
    random = np.random.default_rng(seed)
    projection = fit_set_descriptor(images, drawn, unique, size, random)
    listener(0.05)
    limits = fit_limits(images, drawn, unique, size, random, seed)
    listener(0.1)
    own = drawn[unique]
    near = _compare_candidates(own, projection, limits, lambda share: listener(0.1 + 0.8 * share))
    order = sorted(near, key=lambda pair: pair.error)
    named = [Pair(int(unique[p.first]), int(unique[p.second]), p.error, False, p.mirrored) for p in order]
    usual = UsualResidual(images, size, seed)
    clear: list[Pair] = []
    for start in range(0, len(named), PAIRS_PER_CHECK):
        part = named[start : start + PAIRS_PER_CHECK]
        errors = usual([pair.first for pair in part] + [pair.second for pair in part]).view(2, -1).mean(0)
        clear += [
            pair
            for pair, usual_error in zip(part, errors.tolist(), strict=True)
            if pair.error <= limits.usual * usual_error
        ]
        listener(0.9 + 0.1 * (start + len(part)) / len(named))
    return tuple(clear), limits


def _find_exact(images: ImageSet) -> tuple[tuple[Pair, ...], Indices]:
    """Pairs (first, copy), and the indices of the first of each, in order."""
    _, first, inverse = np.unique(images.hashes(), return_index=True, return_inverse=True)
    of = first[inverse.reshape(-1)]
    copies = np.flatnonzero(of != np.arange(len(images)))
    return tuple(Pair(int(of[i]), int(i), 0.0, exact=True) for i in copies), np.sort(first).astype(np.int64)


def _compare_candidates(
    drawn: Thumbnails, projection: Tensor, limits: Limits, listener: Listener
) -> list[Pair]:
    mirrored = drawn.mirrored()
    searched = 0

    def block(count: int) -> None:
        nonlocal searched
        searched += count
        listener(0.4 * searched / len(drawn))

    pairs = find_candidates(
        compute_descriptors(drawn.gray, projection),
        compute_descriptors(mirrored.gray, projection),
        done=block,
    )
    small, small_mirrored = downscale(drawn.gray), downscale(mirrored.gray)
    survivors: list[Tensor] = []
    for n, part in enumerate(torch.split(torch.arange(len(pairs)), PAIRS_PER_BATCH)):
        some = pairs[part]
        some, part = _filter_by_tangent(some, part, small, small_mirrored, limits)
        second = _orient(drawn.gray, mirrored.gray, some)
        left = align(drawn.gray[some.first], second, steps=COARSE_STEPS)
        survivors.append(part[left.error <= limits.coarse])
        listener(0.4 + 0.4 * min(1.0, (n + 1) * PAIRS_PER_BATCH / max(len(pairs), 1)))
    pairs = pairs[torch.cat(survivors)] if survivors else pairs
    best: dict[tuple[int, int], Pair] = {}
    for n, part in enumerate(torch.split(torch.arange(len(pairs)), PAIRS_PER_BATCH)):
        some = pairs[part]
        left = align(drawn.gray[some.first], _orient(drawn.gray, mirrored.gray, some))
        colour = chroma_error(drawn.chroma[some.first], _orient(drawn.chroma, mirrored.chroma, some))
        good = (left.error <= limits.error) & (left.relative <= limits.relative) & (colour <= limits.chroma)
        for at in good.nonzero()[:, 0].tolist():
            pair = Pair(
                int(some.first[at]),
                int(some.second[at]),
                float(left.error[at]),
                False,
                bool(some.mirrored[at]),
            )
            previous = best.get((pair.first, pair.second))
            if previous is None or pair.error < previous.error:
                best[pair.first, pair.second] = pair
        listener(0.8 + 0.2 * min(1.0, (n + 1) * PAIRS_PER_BATCH / max(len(pairs), 1)))
    return list(best.values())


def _filter_by_tangent(
    pairs: Candidates, indices: Tensor, small: Tensor, mirrored: Tensor, limits: Limits
) -> tuple[Candidates, Tensor]:
    # Pairs come sorted by their first image, so that its tangents are worked out once for all its pairs.
    images, of = torch.unique(pairs.first, return_inverse=True)
    good = tangent_error(small[images], of, _orient(small, mirrored, pairs)) <= limits.tangent
    return pairs[good], indices[good]


def _orient(own: Tensor, mirrored: Tensor, pairs: Candidates) -> Tensor:
    """The second image of each pair, mirrored where it must be."""
    turned = pairs.mirrored.view(-1, *[1] * (own.ndim - 1))
    return torch.where(turned, mirrored[pairs.second], own[pairs.second])
