"""Groups of alike images, found without labels; and how well they agree with labels that were not used.

The vectors are grouped as they are, or in a space made from their neighbourhoods: `spectral` (Laplacian
eigenmaps) or `umap` (needs the extra `umap`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, MissingExtraError, UsageError
from isthmus.features.neighbourhood import nearest, neighbour_graph
from isthmus.wording import format_count

if TYPE_CHECKING:
    from scipy import sparse

Vectors = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Method = Literal["kmeans", "gmm", "hdbscan"]
Space = Literal["features", "spectral", "umap"]

NOISE = -1
DIRECTIONS = 32  # of a Gaussian mixture: a covariance of more takes hours, and more images than there are
DENSE_UP_TO = 500  # rows for which all eigenvectors are computed


@dataclass(frozen=True)
class Clusters:
    """`assigned (n,)` cluster of each row, −1 for none (hdbscan only); clusters are numbered by falling size.

    Attributes:
        typical: `(k, …)` rows of each cluster, most typical first, at most ten each.
        places: `(n, d)` where each row lies in the space that was grouped.
    """

    assigned: Labels
    typical: tuple[Labels, ...]
    places: Vectors

    @property
    def count(self) -> int:
        return len(self.typical)


def find_clusters(
    vectors: Vectors,
    count: int,
    *,
    method: Method = "kmeans",
    space: Space = "features",
    neighbours: int = 10,
    seed: int = 0,
) -> Clusters:
    """Group rows `(n, d)` of length 1.

    Args:
        count: clusters; for hdbscan, which finds the number itself, what sets the dimensions of a space.
        method: k-means, a Gaussian mixture with full covariances (McLachlan and Peel 2000; of the 32 leading
            principal components where a space has more numbers than that and than twice `count`), or
            HDBSCAN (Campello et al. 2013), all of scikit-learn.
        space: what is grouped: the rows, or where their neighbour graph puts them: one and a half times
            `count` Laplacian eigenvectors (Ng, Jordan and Weiss 2002; more than `count`: Rebagliati and Verri
            2011), or UMAP in `count` dimensions (McInnes et al. 2018).

    Raises:
        UsageError: an unknown method or space, or more clusters than rows.
        MissingExtraError: `umap` without umap-learn.
    """
    check_request(len(vectors), count, method, space)
    where = places(vectors, count, space=space, neighbours=neighbours, seed=seed)
    return grouped(where, count, method=method, seed=seed)


def check_request(images: int, count: int, method: str, space: str) -> None:
    """Check before the work that `images` can be put into `count` clusters.

    Raises:
        UsageError: an unknown method or space, or more clusters than images.
    """
    if method not in get_args(Method) or space not in get_args(Space):
        known = f"methods {', '.join(get_args(Method))}; spaces {', '.join(get_args(Space))}"
        raise UsageError(
            "'{method}' in '{space}' is not known: {known}",
            id="cluster.unknown-method",
            method=method,
            space=space,
            known=known,
        )
    if not 1 <= count <= images:
        raise UsageError(
            "{images} cannot form {clusters}",
            id="cluster.too-few-images",
            images=format_count(images, "image"),
            clusters=format_count(count, "cluster"),
        )


def places(vectors: Vectors, count: int, *, space: Space, neighbours: int = 10, seed: int = 0) -> Vectors:
    """Rows `(n, d)` in the space in which `count` groups are sought; see `find_clusters`."""
    neighbours = min(neighbours, len(vectors) - 1)
    match space:
        case "spectral":
            graph = neighbour_graph(vectors, count=neighbours)
            # Half as many again as there are groups: the leading ones alone merged groups that lie near.
            return spectral_places(graph, min(len(vectors), count + (count + 1) // 2), seed=seed)
        case "umap":
            return umap_places(vectors, count, neighbours=neighbours, seed=seed)
        case _:
            return vectors


def spectral_places(graph: sparse.csr_matrix, dimensions: int, *, seed: int = 0) -> Vectors:
    """`(n, dimensions)` of length 1: the leading eigenvectors of the normalised graph, rows scaled.

    Ng, Jordan and Weiss 2002, "On spectral clustering", steps 2 to 4.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh

    degree = np.asarray(graph.sum(1)).ravel().clip(1e-12)
    root = sparse.diags(1 / np.sqrt(degree))
    normalised = (root @ graph @ root).tocsr()
    size = graph.shape[0]
    if size <= max(DENSE_UP_TO, dimensions + 1):
        values = np.linalg.eigh(normalised.toarray())[1][:, ::-1][:, :dimensions]
    else:
        start = np.random.default_rng(seed).standard_normal(size)
        # A little of the identity keeps a bipartite piece's eigenvalue −1 away from the end that is sought.
        _, values = eigsh(
            normalised + sparse.identity(size) * 0.1, k=dimensions, which="LA", v0=start, tol=1e-6
        )
        values = values[:, ::-1]
    lengths = np.linalg.norm(values, axis=1, keepdims=True).clip(1e-12)
    return np.asarray(values / lengths, dtype=np.float32)


def umap_places(vectors: Vectors, dimensions: int, *, neighbours: int = 10, seed: int = 0) -> Vectors:
    """`(n, dimensions)` UMAP of rows of length 1, their neighbours found exactly.

    Raises:
        MissingExtraError: umap-learn is not installed.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what it could use besides
        try:
            import umap
        except ImportError:
            raise MissingExtraError("UMAP", "umap") from None
    distance, rows = nearest(vectors, vectors, neighbours, skip_same_row=True)
    # UMAP counts a row as its own nearest.
    own = np.arange(len(vectors))[:, None]
    known = (np.hstack([own, rows]), np.hstack([np.zeros_like(own, dtype=np.float32), distance]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about seeds and threads, and of its dependencies
        mapper = umap.UMAP(
            n_components=dimensions,
            n_neighbors=neighbours + 1,
            min_dist=0.0,
            random_state=seed,
            precomputed_knn=(*known, None),
            n_jobs=1,
        )
        return np.asarray(mapper.fit_transform(vectors), dtype=np.float32)


def agreement(labels: Labels, assigned: Labels) -> dict[str, float]:
    """How clusters agree with labels that were not used.

    `accuracy`: each cluster stands for at most one class and the matching is the best one (Kuhn 1955; as in
    Xie et al. 2016). `purity`: each cluster stands for its commonest class. `nmi`: mutual information
    over the mean of the two entropies. Rows in no cluster count as wrong, and for `nmi` as a cluster.

    Raises:
        DataError: no rows, or lengths differ.
    """
    if len(labels) == 0 or len(labels) != len(assigned):
        raise DataError(
            "{labels} for {rows}",
            id="cluster.labels-count",
            labels=format_count(len(labels), "label"),
            rows=format_count(len(assigned), "row"),
        )
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import normalized_mutual_info_score

    inside = assigned >= 0
    classes, truth = np.unique(labels, return_inverse=True)
    table = np.zeros((int(assigned.max(initial=0)) + 1, len(classes)), dtype=np.int64)
    np.add.at(table, (assigned[inside], truth[inside]), 1)
    rows, columns = linear_sum_assignment(-table)
    return {
        "accuracy": float(table[rows, columns].sum() / len(labels)),
        "purity": float(table.max(1).sum() / len(labels)),
        "nmi": float(normalized_mutual_info_score(labels, assigned)),
    }


def grouped(places: Vectors, count: int, *, method: Method = "kmeans", seed: int = 0) -> Clusters:
    """Group rows `(n, d)` by Euclidean distance."""
    return _described(places, _assigned(places, count, method, seed))


def _assigned(places: Vectors, count: int, method: Method, seed: int) -> Labels:
    from sklearn.cluster import HDBSCAN, KMeans
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    fitted: Any
    match method:
        case "kmeans":
            fitted = KMeans(count, n_init=10, random_state=seed).fit(places)
            return np.asarray(fitted.labels_, dtype=np.int64)
        case "gmm":
            rows = places.astype(np.float64)
            if rows.shape[1] > max(DIRECTIONS, 2 * count):
                few = min(DIRECTIONS, len(rows))
                rows = PCA(few, svd_solver="randomized", random_state=seed).fit_transform(rows)
            fitted = GaussianMixture(count, n_init=3, reg_covar=1e-5, random_state=seed)
            return np.asarray(fitted.fit_predict(rows), dtype=np.int64)
        case _:
            least = max(5, len(places) // 100)
            fitted = HDBSCAN(min_cluster_size=least, copy=True).fit(places)
            return np.asarray(fitted.labels_, dtype=np.int64)


def _described(places: Vectors, assigned: Labels) -> Clusters:
    names, counts = np.unique(assigned[assigned >= 0], return_counts=True)
    order = names[np.argsort(-counts, kind="stable")]
    renamed = np.full_like(assigned, NOISE)
    typical = []
    for number, name in enumerate(order):
        rows = np.flatnonzero(assigned == name)
        renamed[rows] = number
        middle = places[rows].mean(0)
        distance = np.square(places[rows] - middle).sum(1)
        typical.append(rows[np.argsort(distance, kind="stable")[:10]].astype(np.int64))
    return Clusters(renamed, tuple(typical), places)
