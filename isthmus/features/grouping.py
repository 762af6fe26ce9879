"""Clusters of a set of images, and, where labels are known, how they agree with them beside baselines."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from isthmus.features.clusters import Clusters, Method, Space, agreement, find_clusters, grouped, places
from isthmus.features.contenders import SEEN, Contender, contenders
from isthmus.features.readout import Readout, features
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder


@dataclass(frozen=True)
class Grouping:
    """Clusters of the features (first seed), and by contender the means of `agreement` over seeds.

    `agreement` holds `accuracy`, `accuracy_deviation` (over seeds), `purity` and `nmi`; empty without labels.
    """

    clusters: Clusters
    agreement: dict[str, dict[str, float]]


def group(
    model: Autoencoder,
    readout: Readout,
    images: ImageSet,
    count: int,
    *,
    method: Method = "kmeans",
    space: Space = "spectral",
    neighbours: int = 10,
    seeds: int = 1,
    seen: Collection[str] = SEEN,
    say: Callable[[str], None] = lambda _: None,
) -> Grouping:
    """Cluster images by their compact features; see `find_clusters`."""
    if images.labels is None:
        rows = features(model, images, readout, compact=True)
        return Grouping(find_clusters(rows, count, method=method, space=space, neighbours=neighbours), {})
    found: dict[str, dict[str, float]] = {}
    first = None
    for one in contenders(model, readout, [images], seen=seen):
        say(f"clustering {one.name}")
        clusters, found[one.name] = _over_seeds(one, images, count, method, space, neighbours, seeds)
        first = clusters if first is None else first
    assert first is not None  # `seen` names some
    return Grouping(first, found)


def _over_seeds(
    one: Contender, images: ImageSet, count: int, method: Method, space: Space, neighbours: int, seeds: int
) -> tuple[Clusters, dict[str, float]]:
    assert images.labels is not None
    rows = one.compact[0]
    near = min(neighbours, len(rows) - 1)
    # Eigenvectors are the same for every seed; UMAP's map is not.
    shared = None if space == "umap" else places(rows, count, space=space, neighbours=near)
    runs = []
    for seed in range(seeds):
        where = places(rows, count, space=space, neighbours=near, seed=seed) if shared is None else shared
        runs.append(grouped(where, count, method=method, seed=seed))
    scores = [agreement(images.labels, run.assigned) for run in runs]
    means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
    spread = float(np.std([score["accuracy"] for score in scores]))
    return runs[0], means | {"accuracy_deviation": spread}
