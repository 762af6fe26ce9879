"""Groups of similar images, found without labels; and how well they agree with labels that were not used.

The vectors are grouped as they are, or in a space made from their neighbourhoods: `spectral` (Laplacian
eigenmaps) or `umap` (needs the extra `umap`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, MissingExtraError, UsageError
from isthmus.features.contenders import FEATURE_KINDS, feature_sets
from isthmus.features.neighbourhood import nearest, neighbour_graph
from isthmus.features.readout import FeatureExtractor, extract_features
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.progress import SILENT, Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from scipy import sparse

Vectors = npt.NDArray[np.float32]

Labels = npt.NDArray[np.int64]

Method = Literal["kmeans", "gmm", "hdbscan"]

Space = Literal["features", "spectral", "umap"]

NOISE = -1

MAX_MIXTURE_DIMENSIONS = (
    32  # of a Gaussian mixture: a covariance of more takes hours, and more images than there are
)

MAX_DENSE_ROWS = 500  # rows for which all eigenvectors are computed


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
    where = reduce_dimensions(vectors, count, space=space, neighbours=neighbours, seed=seed)
    return cluster_vectors(where, count, method=method, seed=seed)


def check_request(images: int, count: int, method: str, space: str) -> None:
    """Check before the work that `images` can be put into `count` clusters.

    Raises:
        UsageError: an unknown method or space, or more clusters than images.
    """
    if method not in get_args(Method) or space not in get_args(Space):
        options = f"methods {', '.join(get_args(Method))}; spaces {', '.join(get_args(Space))}"
        raise UsageError(
            "'{method}' in '{space}' is not known: {known}",
            id="cluster.unknown-method",
            method=method,
            space=space,
            known=options,
        )
    if not 1 <= count <= images:
        raise UsageError(
            "{images} cannot form {clusters}",
            id="cluster.too-few-images",
            images=format_count(images, "image"),
            clusters=format_count(count, "cluster"),
        )


def check_different(images: ImageSet, count: int) -> None:
    """Check before the work that enough of the images differ.

    Raises:
        DataError: fewer contents than clusters, or a single one.
    """
    different = len(np.unique(images.hashes()))
    if different < max(count, 2) and len(images) > 1:
        raise DataError(
            "{source}: its {images} show only {different}, too few for {clusters}",
            id="cluster.too-few-different",
            source=images.source,
            images=format_count(len(images), "image"),
            different=format_count(different, "different picture"),
            clusters=format_count(count, "cluster"),
        )


def reduce_dimensions(
    vectors: Vectors, count: int, *, space: Space, neighbours: int = 10, seed: int = 0
) -> Vectors:
    """Rows `(n, d)` in the space in which `count` groups are sought; see `find_clusters`."""
    neighbours = min(neighbours, len(vectors) - 1)
    match space:
        case "spectral":
            graph = neighbour_graph(vectors, count=neighbours)
            # Half as many again as there are groups: the leading ones alone merged groups that lie near.
            return embed_spectral(graph, min(len(vectors), count + (count + 1) // 2), seed=seed)
        case "umap":
            return embed_umap(vectors, count, neighbours=neighbours, seed=seed)
        case _:
            return vectors


def embed_spectral(graph: sparse.csr_matrix, dimensions: int, *, seed: int = 0) -> Vectors:
    """`(n, dimensions)` of length 1: the leading eigenvectors of the normalised graph, rows scaled.

    Ng, Jordan and Weiss 2002, "On spectral clustering", steps 2 to 4.
    """
    from scipy import sparse
    from scipy.sparse.linalg import eigsh

    degree = np.asarray(graph.sum(1)).ravel().clip(1e-12)
    root = sparse.diags(1 / np.sqrt(degree))
    normalised = (root @ graph @ root).tocsr()
    size = graph.shape[0]
    if size <= max(MAX_DENSE_ROWS, dimensions + 1):
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


def embed_umap(vectors: Vectors, dimensions: int, *, neighbours: int = 10, seed: int = 0) -> Vectors:
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
    neighbours_given = (np.hstack([own, rows]), np.hstack([np.zeros_like(own, dtype=np.float32), distance]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about seeds and threads, and of its dependencies
        mapper = umap.UMAP(
            n_components=dimensions,
            n_neighbors=neighbours + 1,
            min_dist=0.0,
            random_state=seed,
            precomputed_knn=(*neighbours_given, None),
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


def cluster_vectors(places: Vectors, count: int, *, method: Method = "kmeans", seed: int = 0) -> Clusters:
    """Group rows `(n, d)` by Euclidean distance."""
    return _describe_clusters(places, _assign(places, count, method, seed))


def _assign(places: Vectors, count: int, method: Method, seed: int) -> Labels:
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
            if rows.shape[1] > max(MAX_MIXTURE_DIMENSIONS, 2 * count):
                few = min(MAX_MIXTURE_DIMENSIONS, len(rows))
                rows = PCA(few, svd_solver="randomized", random_state=seed).fit_transform(rows)
            fitted = GaussianMixture(count, n_init=3, reg_covar=1e-5, random_state=seed)
            return np.asarray(fitted.fit_predict(rows), dtype=np.int64)
        case _:
            least = max(5, len(places) // 100)
            fitted = HDBSCAN(min_cluster_size=least, copy=True).fit(places)
            return np.asarray(fitted.labels_, dtype=np.int64)


def _describe_clusters(places: Vectors, assigned: Labels) -> Clusters:
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
    readout: FeatureExtractor,
    images: ImageSet,
    count: int,
    *,
    method: Method = "kmeans",
    space: Space = "spectral",
    neighbours: int = 10,
    seeds: int = 1,
    seed: int = 0,
    kinds: Collection[str] = FEATURE_KINDS,
    progress: Progress | None = SILENT,
) -> Iterator[GroupingPart]:
    """Cluster images by their compact features, see `find_clusters`; where they have labels, then also by
    other vectors, to compare how the groups agree with these.
    """
    check_request(len(images), count, method, space)
    if images.labels is None:
        with start_task(progress, "reading features", len(images), "images") as task:
            rows = extract_features(
                model, images, readout, compact=True, listener=lambda n, _: task.update(n)
            )
        clusters = find_clusters(rows, count, method=method, space=space, neighbours=neighbours, seed=seed)
        yield GroupingPart("features", clusters, None)
        return
    with start_task(progress, "clustering", len(kinds)) as task:
        for done, vectors in enumerate(feature_sets(model, readout, [images], kinds=kinds)):
            task.update(done, vectors.name)
            rows = vectors.compact[0]
            near = min(neighbours, len(rows) - 1)
            runs = []
            for start in range(seed, seed + seeds):
                if start == seed or space == "umap":  # eigenvectors are the same for every seed
                    where = reduce_dimensions(rows, count, space=space, neighbours=near, seed=start)
                runs.append(cluster_vectors(where, count, method=method, seed=start))
            scores = [agreement(images.labels, run.assigned) for run in runs]
            means = {key: float(np.mean([score[key] for score in scores])) for key in scores[0]}
            spread = float(np.std([score["accuracy"] for score in scores]))
            agreed = ClusterAgreement(means["accuracy"], spread, means["purity"], means["nmi"])
            yield GroupingPart(vectors.name, runs[0], agreed)
