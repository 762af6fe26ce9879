"""Classes by likeness: k nearest neighbours, and labels spread from few images to many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from isthmus.metrics.neighbours import find_neighbours

if TYPE_CHECKING:
    from scipy import sparse  # loaded where a graph is made: plain features need none

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]

_SHARE, _ROUNDS = 0.99, 60  # α, how much a row takes from its neighbours, and how often it does
BRIDGES_PER_COMPONENT = 5  # by which a part of a graph that hangs together is joined to the rest


def nearest(
    queries: Vectors, reference: Vectors, count: int, *, skip_same_row: bool = False
) -> tuple[Vectors, Rows]:
    """`find_neighbours` for NumPy's float32 vectors, in their precision."""
    distances, rows = find_neighbours(
        *(torch.from_numpy(np.ascontiguousarray(vectors)) for vectors in (queries, reference)),
        count=count,
        skip_same_row=skip_same_row,
        dtype=torch.float32,
    )
    return distances.numpy(), rows.numpy()


def knn_predict(
    queries: Vectors, reference: Vectors, labels: Labels, *, classes: int, count: int = 5
) -> Labels:
    """The class that most of the `count` nearest rows have; of equals, that of the nearest."""
    _, rows = nearest(queries, reference, min(count, len(reference)))
    votes = np.zeros((len(queries), classes), dtype=np.float64)
    weight = 1 + np.linspace(1e-3, 0, rows.shape[1])  # only decides between equals
    np.add.at(votes, (np.arange(len(queries))[:, None], labels[rows]), weight)
    return np.asarray(votes.argmax(1), dtype=np.int64)


def neighbour_graph(vectors: Vectors, *, count: int = 10) -> sparse.csr_matrix:
    """`(n, n)` symmetric weights in [0, 1] between each row and its nearest.

    A row's weights fall with distance on its own scale: exp(−d² / (σᵢ σⱼ)), σ the distance to the last
    neighbour (Zelnik-Manor and Perona 2004). A few rows that are only each other's neighbours would be a
    group of their own, and labels would never reach them: a graph's parts are joined where they are nearest.
    """
    from scipy import sparse

    distances, rows = nearest(vectors, vectors, count, skip_same_row=True)
    squared = np.square(distances, dtype=np.float64)
    scale = distances[:, -1].astype(np.float64).clip(1e-6)
    weight = np.exp(-squared / (scale[:, None] * scale[rows]))
    first = np.repeat(np.arange(len(vectors)), count)
    graph = sparse.csr_matrix((weight.ravel(), (first, rows.ravel())), shape=(len(vectors),) * 2)
    return _join_components(graph.maximum(graph.T).tocsr(), vectors, float(np.median(weight)))


def _join_components(graph: sparse.csr_matrix, vectors: Vectors, weight: float) -> sparse.csr_matrix:
    from scipy import sparse
    from scipy.sparse import csgraph

    count, part = csgraph.connected_components(graph, directed=False)
    if count == 1:
        return graph
    main = int(np.bincount(part).argmax())
    sources, targets = [], []
    for component in np.setdiff1d(np.arange(count), [main]):
        rows, other_rows = np.flatnonzero(part == component), np.flatnonzero(part != component)
        distances, where = nearest(vectors[rows], vectors[other_rows], 1)
        closest = np.argsort(distances[:, 0], kind="stable")[:BRIDGES_PER_COMPONENT]
        sources.append(rows[closest])
        targets.append(other_rows[where[closest, 0]])
    ends = np.concatenate(sources), np.concatenate(targets)
    bridges = sparse.csr_matrix((np.full(len(ends[0]), weight), ends), shape=graph.shape)
    return graph.maximum(bridges.maximum(bridges.T)).tocsr()


def spread_labels(
    graph: sparse.csr_matrix, labelled: Rows, labels: Labels, *, classes: int
) -> npt.NDArray[np.float64]:
    """Scores `(n, classes)` of every row of a graph, from the labels of a few.

    Zhou et al. 2004, "Learning with local and global consistency": F ← α S F + (1 − α) Y with the
    normalised graph S. Classes are then weighed to be equally likely over the graph (Zhu et al. 2003,
    class mass normalisation).

    Args:
        labelled: rows whose `labels` are given.
    """
    from scipy import sparse

    degree = np.asarray(graph.sum(1)).ravel()
    root = sparse.diags(1 / np.sqrt(np.maximum(degree, 1e-12)))
    normalised = (root @ graph @ root).tocsr()
    known_labels = np.zeros((graph.shape[0], classes))
    known_labels[labelled, labels] = 1 / np.maximum(np.bincount(labels, minlength=classes)[labels], 1)
    scores = known_labels.copy()
    for _ in range(_ROUNDS):
        scores = _SHARE * (normalised @ scores) + (1 - _SHARE) * known_labels
    return np.asarray(scores / np.maximum(scores.sum(0, keepdims=True), 1e-12))
