"""The principal subspace of a stream of vectors: exact where the covariance fits, randomised where not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError

MAX_EXACT_WIDTH = 4096
MAX_SAMPLE_ROWS = 4096
MAX_SAMPLE_NUMBERS = 2**27


@dataclass(frozen=True)
class Subspace:
    """A mean (D,) and orthonormal directions (components, D), by falling variance; float32."""

    mean: Tensor
    basis: Tensor

    def encode(self, rows: Tensor) -> Tensor:
        """(n, D) -> (n, components): coordinates along the directions."""
        return (rows - self.mean) @ self.basis.T

    def decode(self, codes: Tensor) -> Tensor:
        """(n, components) -> (n, D): the nearest point of the subspace."""
        return codes @ self.basis + self.mean


def principal_subspace(batches: Iterable[Tensor], components: int, *, seed: int = 0) -> Subspace:
    """The subspace that loses least squared error (Pearson 1901; Jolliffe, "Principal
    component analysis", §1.1).

    Up to D = 4096 it is exact: one pass, memory for D² numbers, an eigendecomposition of the covariance.
    Beyond, scikit-learn's randomised PCA (Halko et al. 2011) is fitted on a uniform random sample of at most
    4096 rows, fewer where they would take more than 512 MiB.

    Args:
        batches: tensors (n, D), floating point, one D; read once.
        components: directions to keep; cut to what D (or the sample) can give.
        seed: of the sample and the randomised solver.

    Raises:
        DataError: no rows at all.
    """
    stream = iter(batches)
    first = next((batch for batch in stream if len(batch)), None)
    if first is None:
        raise DataError("no images to fit the baseline on", id="metric.baseline-without-images")
    return (_fit_exact if first.shape[1] <= MAX_EXACT_WIDTH else _fit_randomised)(
        first, stream, components, seed
    )


def _fit_exact(first: Tensor, rest: Iterable[Tensor], components: int, _seed: int) -> Subspace:
    import scipy.linalg

    # Products are taken about a point near the mean, so that single precision loses nothing that matters.
    origin = first.float().mean(0)
    width = first.shape[1]
    count = 0
    total = torch.zeros(width, dtype=torch.float64)
    products = torch.zeros(width, width, dtype=torch.float64)
    for batch in _iter_batches(first, rest):
        rows = batch.float() - origin
        count += len(rows)
        total += rows.sum(0, dtype=torch.float64)
        products += rows.T @ rows
    offset = total / count
    covariance = products / count - torch.outer(offset, offset)
    # Only the largest eigenvalues' vectors are wanted; torch computes all, which takes five times as long.
    largest = (max(0, width - components), width - 1)
    _, directions = scipy.linalg.eigh(covariance.numpy(), subset_by_index=largest)
    basis = torch.from_numpy(directions[:, ::-1].T.copy())
    return Subspace(mean=(origin + offset).float(), basis=basis.float())


def _fit_randomised(first: Tensor, rest: Iterable[Tensor], components: int, seed: int) -> Subspace:
    from sklearn.decomposition import PCA

    width = first.shape[1]
    rows = _sample_rows(first, rest, min(MAX_SAMPLE_ROWS, max(2, MAX_SAMPLE_NUMBERS // width)), seed)
    if len(rows) == 1:  # a mean, and no direction in which anything varies
        return Subspace(mean=torch.from_numpy(rows[0]), basis=torch.empty(0, width))
    solver = PCA(min(components, len(rows)), svd_solver="randomized", random_state=seed).fit(rows)
    mean, basis = (np.asarray(part, dtype=np.float32) for part in (solver.mean_, solver.components_))
    return Subspace(mean=torch.from_numpy(mean), basis=torch.from_numpy(basis))


def _sample_rows(first: Tensor, rest: Iterable[Tensor], size: int, seed: int) -> np.ndarray:
    """A uniform sample of rows from a stream of unknown length (Vitter 1985, algorithm R)."""
    generator = np.random.default_rng(seed)
    sample = np.empty((size, first.shape[1]), dtype=np.float32)
    row_count = 0
    for batch in _iter_batches(first, rest):
        rows = batch.float().numpy()
        index = np.arange(row_count, row_count + len(rows))
        slot = np.where(index < size, index, generator.integers(0, index + 1))
        chosen = slot < size
        sample[slot[chosen]] = rows[chosen]
        row_count += len(rows)
    return sample[: min(row_count, size)]


def _iter_batches(first: Tensor, rest: Iterable[Tensor]) -> Iterable[Tensor]:
    yield first.detach().cpu()
    for batch in rest:
        yield batch.detach().cpu()
