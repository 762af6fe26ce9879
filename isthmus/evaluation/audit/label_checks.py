"""Images whose label their neighbours confidently disagree with.

Each image is judged by the others alone: the votes of its nearest ones in a code, weighed by closeness. A
label is doubted where another class is voted for at least as confidently as images of that class usually vote
for themselves (confident learning: Northcutt, Jiang and Chuang 2021, section 3.1).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from isthmus.images.grouping import check_groups_match, group_key
from isthmus.images.store import ImageSet, Indices

NEIGHBOURS = 15

COMPONENTS = 64

BLOCK_ROWS = 2048

MIN_VOTE_SHARE, MAX_VOTE_SHARE = (
    0.7,
    0.85,
)  # share of the votes that must go to the other class: never less, never more


@dataclass(frozen=True)
class DoubtfulLabel:
    """One doubted label: the class given, the class voted for, and the shares of the votes for both."""

    index: int
    given: str
    voted: str
    vote: float
    own: float


def find_doubtful_labels(images: ImageSet, codes: Tensor) -> tuple[DoubtfulLabel, ...]:
    """Doubts, most certain first; empty for images without labels or of one class.

    Args:
        codes: `(N, d)`, one per image, such as `principal_codes`.
    """
    if images.labels is None or len(images) < 3 * NEIGHBOURS or len(np.unique(images.labels)) < 2:
        return ()
    labels = torch.from_numpy(images.labels)
    votes = _count_votes(codes, labels)
    own = votes[torch.arange(len(votes)), labels]
    # How surely each class votes for itself, over the images that are labelled so.
    usual = torch.stack(
        [own[labels == c].mean() if (labels == c).any() else torch.tensor(2.0) for c in range(votes.shape[1])]
    )
    best, voted = votes.max(1)
    doubted = (voted != labels) & (best >= usual[voted].clamp(MIN_VOTE_SHARE, MAX_VOTE_SHARE))
    order = np.argsort(-(best - own)[doubted].numpy(), kind="stable")
    rows: Indices = doubted.nonzero()[:, 0].numpy()[order]
    names = images.classes or tuple(map(str, range(votes.shape[1])))
    return tuple(
        DoubtfulLabel(int(i), names[int(labels[i])], names[int(voted[i])], float(best[i]), float(own[i]))
        for i in rows
    )


def principal_codes(gray: Tensor, chroma: Tensor) -> Tensor:
    """`(N, 64)` principal components of gray canvases `(N, h, w)` and their colours, in float32."""
    flat = torch.cat([gray.flatten(1), 4 * chroma.flatten(1)], 1)
    flat = flat - flat.mean(0)
    some = flat[:: max(1, len(flat) // 10_000)].double()
    vectors = torch.linalg.eigh(some.T @ some).eigenvectors.flip(1)[:, :COMPONENTS]
    codes: Tensor = flat @ vectors.float()
    return codes


def _count_votes(codes: Tensor, labels: Tensor) -> Tensor:
    classes, squares = int(labels.max()) + 1, codes.square().sum(1)
    parts = []
    for start in range(0, len(codes), BLOCK_ROWS):
        rows = torch.arange(start, min(start + BLOCK_ROWS, len(codes)))
        distances = torch.addmm(squares[None], codes[rows], codes.T, alpha=-2) + squares[rows, None]
        distances[torch.arange(len(rows)), rows] = float("inf")
        near, who = distances.clamp_min(0).topk(NEIGHBOURS, largest=False)
        weights = torch.exp(-near / near.mean(1, keepdim=True).clamp_min(1e-12))
        votes = torch.zeros(len(rows), classes).scatter_add(1, labels[who], weights)
        parts.append(votes / votes.sum(1, keepdim=True))
    return torch.cat(parts)


_LAST_NUMBER = re.compile(r"^(.*?)[-_. ]*\d+$")


@dataclass(frozen=True)
class Leak:
    """One origin in both sets: how many images each has of it, and the first names."""

    group: str
    here: int
    there: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Leakage:
    """Origins in both sets, largest first; `known` is how many origins were told apart, and `how`."""

    leaks: tuple[Leak, ...]
    known: int
    how: str


def find_leakage(
    names: Sequence[str],
    others: Sequence[str],
    groups: str | None = None,
    *,
    listed: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Leakage | None:
    """Which origins are in both sets; None where nothing says what the origins are.

    Args:
        names, others: of the images of either set.
        groups: a file of `name,group` lines, or a regular expression; None takes those of `listed`.
        listed: the groups of either set that lists of the images name; None guesses from the names.

    Raises:
        DataError: the file is no such list, or it matches no name.
        UsageError: not a regular expression with a group.
    """
    here: Sequence[str | None]
    there: Sequence[str | None]
    if groups is None and listed is not None:
        (here, there), how = listed, "the groups of both lists"
    else:
        guess = _without_number, "names without their last number"
        key, how = guess if groups is None else group_key(groups)
        here, there = [key(name) for name in names], [key(name) for name in others]
    origins = {group for group in (*here, *there) if group}
    if groups is None and listed is None and not _names_tell_origins(here, there):
        return None
    if groups is not None:
        check_groups_match([*here, *there], [*names, *others], how)
    left, right = Counter(filter(None, here)), Counter(filter(None, there))
    shared = sorted(left.keys() & right.keys(), key=lambda group: (-left[group] - right[group], group))
    leaks = tuple(
        Leak(
            group,
            left[group],
            right[group],
            tuple([n for n, g in zip(names, here, strict=True) if g == group][:2])
            + tuple([n for n, g in zip(others, there, strict=True) if g == group][:2]),
        )
        for group in shared
    )
    return Leakage(leaks, len(origins), how)


def _without_number(name: str) -> str | None:
    stem = PurePosixPath(name).stem
    match = _LAST_NUMBER.match(stem)
    return match.group(1) or None if match else None


def _names_tell_origins(here: Sequence[str | None], there: Sequence[str | None]) -> bool:
    # `img_0001 … img_9999` have one origin for all, which is none; nor are as many as there are images.
    groups = {group for group in (*here, *there) if group}
    total = len(here) + len(there)
    return 2 <= len(groups) <= total / 2 and sum(map(bool, (*here, *there))) > 0.9 * total
