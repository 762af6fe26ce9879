"""Pairs worth a closer look: each image's nearest descriptors, as it is and mirrored, by blocked products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_CANDIDATES = 10
BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Candidates:
    """Pairs of image indices, `first < second`, each pair at most once per orientation.

    Attributes:
        first, second: `(P,)` int64.
        mirrored: `(P,)` bool: one of the two is to be mirrored.
    """

    first: Tensor
    second: Tensor
    mirrored: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: Tensor) -> Candidates:
        return Candidates(self.first[chosen], self.second[chosen], self.mirrored[chosen])


def find_candidates(
    own: Tensor,
    mirrored: Tensor,
    *,
    nearest: int = MAX_CANDIDATES,
    done: Callable[[int], None] = lambda _: None,
) -> Candidates:
    """Every image with its `nearest` others in both orientations.

    Args:
        own, mirrored: `(N, d)` descriptors of the images as they are and mirrored.
        done: told how many images each block held.
    """
    count = len(own)
    nearest = min(nearest, count - 1)
    if nearest < 1:
        none = torch.zeros(0, dtype=torch.int64)
        return Candidates(none, none, none.bool())
    squares = own.square().sum(1)
    keys = []
    for start in range(0, count, BLOCK_ROWS):
        rows = torch.arange(start, min(start + BLOCK_ROWS, count))
        for turned, queries in enumerate((own, mirrored)):
            distances = torch.addmm(squares[None], queries[rows], own.T, alpha=-2)
            distances[torch.arange(len(rows)), rows] = float("inf")  # a mirrored image may be like itself
            neighbours = distances.topk(nearest, largest=False, sorted=False).indices
            ours = rows[:, None].expand_as(neighbours)
            low, high = torch.minimum(ours, neighbours), torch.maximum(ours, neighbours)
            keys.append(((low * count + high) * 2 + turned).flatten())
        done(len(rows))
    unique = torch.unique(torch.cat(keys))
    pair = unique // 2
    return Candidates(pair // count, pair % count, unique % 2 == 1)
