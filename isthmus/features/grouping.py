"""Clusters of a set of images, and how they and those of baselines agree with labels, if there are any."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from isthmus.features.clusters import (
    Clusters,
    Method,
    Space,
    agreement,
    check_request,
    find_clusters,
    grouped,
    places,
)
from isthmus.features.contenders import SEEN, Contender, contenders
from isthmus.features.readout import Readout, features
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.progress import SILENT, Progress, start_task


@dataclass(frozen=True)
class ClusterAgreement:
    """How clusters agree with labels that were not used, means over seeds; see `clusters.agreement`.

    Attributes:
        accuracy: share of images whose cluster is matched with their class, in the best one-to-one matching.
        accuracy_deviation: of the accuracy over the seeds.
        purity: share of images of the commonest class of their cluster.
        nmi: normalised mutual information, 0 to 1.
    """

    accuracy: float
    accuracy_deviation: float
    purity: float
    nmi: float


@dataclass(frozen=True)
class GroupingPart:
    """One kind of vectors, grouped.

    Attributes:
        name: of the vectors.
        clusters: with the first seed.
        agreement: with the labels; None without any.
    """

    name: str
    clusters: Clusters
    agreement: ClusterAgreement | None


def iter_groupings(
    model: Autoencoder,
    readout: Readout,
    images: ImageSet,
    count: int,
    *,
    method: Method = "kmeans",
    space: Space = "spectral",
    neighbours: int = 10,
    seeds: int = 1,
    seed: int = 0,
    seen: Collection[str] = SEEN,
    progress: Progress | None = SILENT,
) -> Iterator[GroupingPart]:
    """Cluster images by their compact features, see `find_clusters`; where they have labels, then also by
    other vectors, to compare how the groups agree with these.
    """
    check_request(len(images), count, method, space)
    if images.labels is None:
        with start_task(progress, "reading features", len(images), "images") as task:
            rows = features(model, images, readout, compact=True, listener=lambda n, _: task.update(n))
        found = find_clusters(rows, count, method=method, space=space, neighbours=neighbours, seed=seed)
        yield GroupingPart("features", found, None)
        return
    with start_task(progress, "clustering", len(seen)) as task:
        for done, one in enumerate(contenders(model, readout, [images], seen=seen)):
            task.update(done, one.name)
            yield GroupingPart(
                one.name,
                *_over_seeds(one, images, count, method, space, neighbours, range(seed, seed + seeds)),
            )


def _over_seeds(
    one: Contender, images: ImageSet, count: int, method: Method, space: Space, neighbours: int, seeds: range
) -> tuple[Clusters, ClusterAgreement]:
    assert images.labels is not None
    rows = one.compact[0]
    near = min(neighbours, len(rows) - 1)
    # Eigenvectors are the same for every seed; UMAP's map is not.
    shared = None
    if space != "umap":
        shared = places(rows, count, space=space, neighbours=near, seed=seeds.start)
    runs = []
    for seed in seeds:
        where = places(rows, count, space=space, neighbours=near, seed=seed) if shared is None else shared
        runs.append(grouped(where, count, method=method, seed=seed))
    scores = [agreement(images.labels, run.assigned) for run in runs]
    means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
    spread = float(np.std([score["accuracy"] for score in scores]))
    return runs[0], ClusterAgreement(means["accuracy"], spread, means["purity"], means["nmi"])
