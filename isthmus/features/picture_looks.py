"""How pictures look, compared: those unlike normal ones, and near copies of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.features.pictures import PictureLook

NEAR_COPY_SHARE = 0.1  # of the usual distance of two pictures: nearer ones show one part
FAR_DEVIATIONS = 6.0  # from the mean of normal pictures
FAR_SIZE = 1.5  # times the largest, or the smallest, normal side
MIN_DEVIATION_SHARE = 0.02  # of the mean: what is always the same may differ by as much as this
MEASURES = ("brightness", "sharpness")
MAX_COMPARED = 2000


def looks_to_facts(looks: Sequence[PictureLook]) -> dict[str, list[float]]:
    """Ranges of sides, and mean and deviation of the measures, as a model file holds them."""
    facts = {
        name: [float(min(values)), float(max(values))]
        for name in ("height", "width")
        for values in [[getattr(look, name) for look in looks]]
    }
    for name in MEASURES:
        values = np.array([getattr(look, name) for look in looks])
        facts[name] = [float(values.mean()), float(values.std())]
    return facts


def list_differences(look: PictureLook, facts: object) -> list[str]:
    """The ways in which a picture differs from normal ones: `size`, `brightness`, `sharpness`."""
    if not isinstance(facts, dict):
        return []
    differences = []
    try:
        ranges: dict[str, Any] = {name: [float(value) for value in facts[name]] for name in facts}
        if any(
            not ranges[name][0] / FAR_SIZE <= getattr(look, name) <= ranges[name][1] * FAR_SIZE
            for name in ("height", "width")
        ):
            differences.append("size")
        for name in MEASURES:
            mean, deviation = ranges[name]
            allowed = FAR_DEVIATIONS * max(deviation, MIN_DEVIATION_SHARE * abs(mean))
            if abs(getattr(look, name) - mean) > allowed:
                differences.append(name)
    except (LookupError, TypeError, ValueError):
        return []
    return differences


def find_near_copies(
    looks: Sequence[PictureLook], other_looks: Sequence[PictureLook] | None = None, *, seed: int = 0
) -> list[tuple[int, int]]:
    """Pairs of pictures that are much nearer to one another than two pictures usually are, nearest first.

    Args:
        other_looks: the second of each pair is one of these, which also define what is usual; None compares
            the pictures with one another.
    """
    second_rows = _sample_rows(looks if other_looks is None else other_looks, seed)
    if len(second_rows) < 4 or not looks:
        return []
    second = _stack_thumbnails(looks if other_looks is None else other_looks, second_rows)
    among = torch.cdist(second, second)
    upper = torch.triu_indices(len(second), len(second), 1)
    usual = float(among[upper[0], upper[1]].median())
    if other_looks is None:
        rows, away, places = second_rows, among, upper
    else:
        rows = _sample_rows(looks, seed)
        away = torch.cdist(_stack_thumbnails(looks, rows), second)
        places = torch.ones_like(away).nonzero().T
    distances = away[places[0], places[1]]
    near = torch.nonzero(distances < NEAR_COPY_SHARE * usual)[:, 0]
    order = near[torch.argsort(distances[near])]
    return [(int(rows[places[0, i]]), int(second_rows[places[1, i]])) for i in order]


def _sample_rows(looks: Sequence[PictureLook], seed: int) -> npt.NDArray[np.int64]:
    if len(looks) <= MAX_COMPARED:
        return np.arange(len(looks))
    return np.sort(np.random.default_rng(seed).permutation(len(looks))[:MAX_COMPARED])


def _stack_thumbnails(looks: Sequence[PictureLook], rows: npt.NDArray[np.int64]) -> torch.Tensor:
    return torch.from_numpy(np.stack([looks[int(row)].thumbnail for row in rows])).double()
