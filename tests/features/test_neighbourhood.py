"""Neighbours against scikit-learn, labels that spread, clusters that are there."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from isthmus.errors import DataError, MissingExtraError, UsageError
from isthmus.features.classification import count_confusion, fit_probe
from isthmus.features.clustering import agreement, find_clusters
from isthmus.features.neighbourhood import knn_predict, nearest, neighbour_graph, spread_labels


def rows(count: int, width: int = 7, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


def test_neighbours_are_those_of_scikit_learn() -> None:
    reference, queries = rows(2500), rows(2200, seed=1)  # more than are compared at a time
    distances, result = nearest(queries, reference, 4)
    oracle = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(reference).kneighbors(queries)
    np.testing.assert_allclose(distances, oracle[0], rtol=1e-5)
    np.testing.assert_array_equal(result, oracle[1])
    own, _ = nearest(reference, reference, 1)
    np.testing.assert_array_equal(own, 0)
    _, others = nearest(reference, reference, 1, skip_same_row=True)
    assert (others[:, 0] != np.arange(2500)).all()
    with pytest.raises(DataError, match="3 nearest neighbours were requested, but there are only 2"):
        nearest(queries, reference[:3], 3, skip_same_row=True)


def test_a_vote_goes_to_the_most_and_among_equals_to_the_nearest() -> None:
    reference = np.array([[0.0], [1.0], [1.1], [5.0]], np.float32)
    labels = np.array([0, 1, 1, 2])
    queries = np.array([[0.4], [4.0]], np.float32)
    np.testing.assert_array_equal(knn_predict(queries, reference, labels, classes=3, count=3), [1, 1])
    np.testing.assert_array_equal(knn_predict(queries, reference, labels, classes=3, count=2), [0, 2])


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    points, labels = make_blobs(300, 8, centers=4, cluster_std=1.2, random_state=3)
    points = points - points.mean(0)
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels.astype(
        np.int64
    )


def test_one_label_per_group_labels_the_group(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    points, labels = blobs
    graph = neighbour_graph(points, count=8)
    assert abs(graph - graph.T).max() == 0
    assert graph.min() >= 0 and graph.max() <= 1
    labelled_rows = np.array([np.flatnonzero(labels == c)[0] for c in range(4)])
    scores = spread_labels(graph, labelled_rows, labels[labelled_rows], classes=4)
    assert (scores.argmax(1) == labels).mean() > 0.97


@pytest.mark.parametrize("method", ["kmeans", "gmm"])
@pytest.mark.parametrize("space", ["features", "spectral"])
def test_groups_that_are_there_are_found(
    method: str, space: str, blobs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from isthmus.features import clustering

    points, labels = blobs
    for dense in (10_000, 10):  # all eigenvectors, and those that are sought one by one
        monkeypatch.setattr(clustering, "MAX_DENSE_ROWS", dense)
        result = find_clusters(points, 4, method=method, space=space)  # type: ignore[arg-type]
        assert agreement(labels, result.assigned)["accuracy"] > 0.97
        assert result.count == 4
        sizes = [int((result.assigned == i).sum()) for i in range(4)]
        assert sizes == sorted(sizes, reverse=True)
        assert [len(set(labels[rows])) for rows in result.typical] == [1] * 4


def test_hdbscan_finds_the_number_itself(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    result = find_clusters(blobs[0], 2, method="hdbscan")
    assert result.count >= 3
    assert agreement(blobs[1], result.assigned)["purity"] > 0.8


def test_agreement_by_hand() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    result = agreement(labels, np.array([1, 1, 0, 0, 0, -1]))
    assert result["accuracy"] == pytest.approx(4 / 6)
    assert result["purity"] == pytest.approx(4 / 6)
    assert agreement(labels, np.array([2, 2, 2, 0, 0, 1]))["nmi"] == pytest.approx(1)


def test_what_cannot_be_asked_is_refused(
    blobs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="301 clusters"):
        find_clusters(blobs[0], 301)
    with pytest.raises(UsageError, match="methods kmeans"):
        find_clusters(blobs[0], 3, method="ward")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match="umap"):
        find_clusters(blobs[0], 3, space="umap")


@pytest.mark.slow  # compiles for ten seconds
@pytest.mark.skipif(find_spec("umap") is None, reason="needs the extra 'umap'")
def test_umap_keeps_groups_apart_and_repeats(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    result = find_clusters(blobs[0], 4, space="umap")
    assert agreement(blobs[1], result.assigned)["accuracy"] > 0.97
    np.testing.assert_array_equal(result.assigned, find_clusters(blobs[0], 4, space="umap").assigned)


def test_a_probe_agrees_with_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    points, labels = make_blobs(400, 6, centers=3, cluster_std=6, random_state=0)
    points, labels = (points / 5).astype(np.float32), labels.astype(np.int64)
    probe = fit_probe(points, labels, classes=3, decays=(1e-2,), iterations=300)
    oracle = LogisticRegression(C=1 / (1e-2 * 400), tol=1e-8, max_iter=2000).fit(points, labels)
    np.testing.assert_allclose(probe.weight, oracle.coef_, atol=5e-3)
    assert (probe.predict(points) == oracle.predict(points)).mean() > 0.99
    table = count_confusion(labels, probe.predict(points), 3)
    assert table.sum() == 400
    assert np.trace(table) == (probe.predict(points) == labels).sum()


def test_the_held_out_part_chooses_the_decay() -> None:
    random = np.random.default_rng(0)
    points = random.standard_normal((60, 200)).astype(np.float32)
    labels = (points[:, 0] > 0).astype(np.int64)
    probe = fit_probe(points, labels, classes=2, decays=(1e-1, 1e3))
    assert probe.decay == 1e-1
