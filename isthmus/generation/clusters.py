"""Clusters of codes that share one covariance, for codes too few for a covariance of each cluster.

Each cluster has its mean, and a scale of the covariance that all of them share (Fraley and Raftery 2002, the
model that they call VEE). How many there are is chosen by the likelihood of codes that were held out. A
cluster of one or two codes would store them nearly as they are: each has at least `MIN_CLUSTER_CODES`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MIN_CLUSTER_CODES = 4
MIN_CODES = 40  # below which no clusters are looked for
HELD_OUT_SHARE = 0.2
STEP = 3  # between the numbers of clusters that are compared
PASSES = 1  # of assignment to the likeliest cluster, after k-means
SCALE_PASSES = 3
SCALE_WEIGHT = 5.0  # codes of scale 1 that every cluster is given


@dataclass(frozen=True, eq=False)
class Clusters:
    """K normal distributions with covariances `scales² · factor · factorᵀ`.

    Attributes:
        weights: `(K,)`, sum 1; means: `(K, k)`; scales: `(K,)`; factor: `(k, k)` lower triangular.
    """

    weights: Tensor
    means: Tensor
    scales: Tensor
    factor: Tensor

    def log_joint(self, rows: Tensor) -> Tensor:
        """`(N, K)`: ln p(cluster) + ln p(row | cluster) for rows `(N, k)`."""
        width = rows.shape[1]
        exponents = 0.5 * squared_distances(rows, self.means, self.factor) / self.scales.square()
        volume = self.factor.diagonal().log().sum() + width * (
            self.scales.log() + 0.5 * math.log(2 * math.pi)
        )
        return self.weights.log() - volume - exponents

    def score(self, rows: Tensor) -> float:
        """Mean log-likelihood of rows `(N, k)`."""
        return float(torch.logsumexp(self.log_joint(rows), 1).mean())


def squared_distances(rows: Tensor, means: Tensor, factor: Tensor) -> Tensor:
    """`(N, K)`: squared Mahalanobis distances of rows `(N, k)` to means `(K, k)`."""
    white, centres = (torch.linalg.solve_triangular(factor, x.T, upper=False).T for x in (rows, means))
    return torch.cdist(white, centres, compute_mode="donot_use_mm_for_euclid_dist").square()


def choose_clusters(
    rows: Tensor, most: int, ridge: float, score_others: Callable[[Tensor, Tensor], float], seed: int
) -> Clusters | None:
    """The clusters under which held-out rows are likeliest, fitted to all rows `(N, k)`.

    Args:
        most: clusters at most; fewer by factors of `STEP` are compared.
        ridge: added to the variances of the shared covariance.
        score_others: fits another model to the first rows, and gives its mean log-likelihood of the second.

    Returns:
        None where the other model is at least as likely, or there are too few rows.
    """
    most = min(most, len(rows) // (2 * MIN_CLUSTER_CODES))
    if len(rows) < MIN_CODES or most < 2:
        return None
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    held_out = round(HELD_OUT_SHARE * len(rows))
    test_rows, fitting_rows = rows[order[:held_out]], rows[order[held_out:]]
    numbers = [most // STEP**i for i in range(8) if most // STEP**i > 1]
    scores = [fit_clusters(fitting_rows, number, ridge, seed).score(test_rows) for number in numbers]
    if max(scores) <= score_others(fitting_rows, test_rows):
        return None
    return fit_clusters(rows, numbers[int(np.argmax(scores))], ridge, seed)


def fit_clusters(rows: Tensor, number: int, ridge: float, seed: int) -> Clusters:
    """At most `number` clusters of rows `(N, k)`: k-means, then each row goes to its likeliest cluster."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        means = KMeans(number, n_init=1, max_iter=30, random_state=seed).fit(rows.numpy()).cluster_centers_
    joint = -torch.cdist(rows, torch.from_numpy(means).to(rows))
    fitted = _describe(rows, _assign(joint), ridge)
    for _ in range(PASSES):
        fitted = _describe(rows, _assign(fitted.log_joint(rows)), ridge)
    return fitted


def _assign(joint: Tensor) -> Tensor:
    """`(N,)`: the likeliest cluster of each row of `(N, K)`, without clusters of too few rows."""
    joint = joint.clone()
    while True:
        owners = joint.argmax(1)
        sizes = torch.bincount(owners, minlength=joint.shape[1])
        left = sizes[sizes > 0]
        if len(left) == 1 or int(left.min()) >= MIN_CLUSTER_CODES:
            numbers: Tensor = torch.unique(owners, return_inverse=True)[1]
            return numbers
        joint[:, sizes.masked_fill(sizes == 0, len(joint) + 1).argmin()] = -torch.inf


def _describe(rows: Tensor, owners: Tensor, ridge: float) -> Clusters:
    """Means, the shared covariance and scales; of each row the mean of the others of its cluster is taken."""
    count, width = rows.shape
    sizes = torch.bincount(owners).to(rows)
    means = rows.new_zeros(len(sizes), width).index_add_(0, owners, rows) / sizes[:, None]
    residuals = (rows - means[owners]) * (sizes / (sizes - 1).clamp_min(1))[owners][:, None]
    scales = torch.ones_like(sizes)
    identity = torch.eye(width, dtype=rows.dtype)
    for _ in range(SCALE_PASSES):
        even = residuals / scales[owners][:, None]
        factor = torch.linalg.cholesky(even.T @ even / count + ridge * identity)
        squares = torch.linalg.solve_triangular(factor, residuals.T, upper=False).square().mean(0)
        total = torch.zeros_like(sizes).index_add_(0, owners, squares)
        scales = ((total + SCALE_WEIGHT) / (sizes + SCALE_WEIGHT)).sqrt()
    return Clusters(sizes / count, means, scales, factor)
