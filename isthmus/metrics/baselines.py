"""Baselines: the mean image, linear codes by principal components, and a linear map of patches for pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError, UsageError

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


def _fit_exact(first: Tensor, batches: Iterable[Tensor], components: int, _seed: int) -> Subspace:
    import scipy.linalg

    # Products are taken about a point near the mean, so that single precision loses nothing that matters.
    origin = first.float().mean(0)
    width = first.shape[1]
    count = 0
    total = torch.zeros(width, dtype=torch.float64)
    products = torch.zeros(width, width, dtype=torch.float64)
    for batch in _iter_batches(first, batches):
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


def _fit_randomised(first: Tensor, batches: Iterable[Tensor], components: int, seed: int) -> Subspace:
    from sklearn.decomposition import PCA

    width = first.shape[1]
    rows = _sample_rows(first, batches, min(MAX_SAMPLE_ROWS, max(2, MAX_SAMPLE_NUMBERS // width)), seed)
    if len(rows) == 1:  # a mean, and no direction in which anything varies
        return Subspace(mean=torch.from_numpy(rows[0]), basis=torch.empty(0, width))
    solver = PCA(min(components, len(rows)), svd_solver="randomized", random_state=seed).fit(rows)
    mean, basis = (np.asarray(part, dtype=np.float32) for part in (solver.mean_, solver.components_))
    return Subspace(mean=torch.from_numpy(mean), basis=torch.from_numpy(basis))


def _sample_rows(first: Tensor, batches: Iterable[Tensor], size: int, seed: int) -> np.ndarray:
    """A uniform sample of rows from a stream of unknown length (Vitter 1985, algorithm R)."""
    generator = np.random.default_rng(seed)
    sample = np.empty((size, first.shape[1]), dtype=np.float32)
    row_count = 0
    for batch in _iter_batches(first, batches):
        rows = batch.float().numpy()
        index = np.arange(row_count, row_count + len(rows))
        slot = np.where(index < size, index, generator.integers(0, index + 1))
        chosen = slot < size
        sample[slot[chosen]] = rows[chosen]
        row_count += len(rows)
    return sample[: min(row_count, size)]


def _iter_batches(first: Tensor, batches: Iterable[Tensor]) -> Iterable[Tensor]:
    yield first.detach().cpu()
    for batch in batches:
        yield batch.detach().cpu()


Part = TypeVar("Part")


class Baseline(Protocol):
    """Fitted on images, reconstructs images."""

    def fit(self, batches: Iterable[Tensor]) -> Self: ...

    def reconstruct(self, images: Tensor) -> Tensor: ...


class MeanImage:
    """A code of no numbers: every image is answered with the mean of the training images."""

    def __init__(self) -> None:
        self.mean: Tensor | None = None  # (C, H, W)

    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Raises DataError when there are no images, or of more than one shape."""
        count, total = 0, None
        for batch in _iter_one_shape(batches):
            part = batch.detach().cpu().sum(0, dtype=torch.float64)
            total = part if total is None else total + part
            count += len(batch)
        if total is None or count == 0:
            raise DataError("no images to fit the baseline on", id="metric.baseline-without-images")
        self.mean = (total / count).float()
        return self

    def reconstruct(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape. Raises DataError for images of another shape."""
        mean = _require_fitted(self.mean)
        _check_shape(images, tuple(mean.shape))
        return mean.to(images).clamp(0, 1).expand_as(images)


class PCA:
    """A linear code of `components` numbers for a whole image of one size (see `principal_subspace`)."""

    def __init__(self, components: int, *, seed: int = 0) -> None:
        self.components = _check_positive(components, "components")
        self.seed = seed
        self.shape: tuple[int, ...] = ()
        self.subspace: Subspace | None = None

    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Raises DataError when there are no images, or of more than one shape."""

        def rows() -> Iterator[Tensor]:
            for batch in _iter_one_shape(batches):
                self.shape = tuple(batch.shape[1:])
                yield batch.flatten(1)

        self.subspace = principal_subspace(rows(), self.components, seed=self.seed)
        return self

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, components). Raises DataError for images of another shape."""
        subspace = _require_fitted(self.subspace)
        _check_shape(images, self.shape)
        return subspace.encode(images.flatten(1).float().cpu())

    def reconstruct(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape. Raises DataError for images of another shape."""
        flat = _require_fitted(self.subspace).decode(self.encode(images))
        return flat.view(images.shape).clamp(0, 1).to(images)


class BlockPCA:
    """A linear code of `components` channels at 1/`block` of the size: PCA of the block×block pieces.

    For images of any size; one whose sides are no multiples of `block` is reflected at the right and lower
    edge (or its last pixel repeated, where it is too small for that) and cropped after. A code of 32 at 1/8
    thus has as many numbers per image as an autoencoder's 32@8.
    """

    def __init__(self, block: int, components: int, *, seed: int = 0) -> None:
        self.block = _check_positive(block, "block")
        self.components = _check_positive(components, "components")
        self.seed = seed
        self.channels = 0
        self.subspace: Subspace | None = None

    def fit(self, batches: Iterable[Tensor]) -> Self:
        """Raises DataError when there are no images, or of more than one channel count."""

        def rows() -> Iterator[Tensor]:
            self.channels = 0
            for batch in batches:
                self.channels = self.channels or batch.shape[-3]
                self._check(batch)
                yield self._blocks(batch).movedim(1, -1).flatten(0, 2)

        self.subspace = principal_subspace(rows(), self.components, seed=self.seed)
        return self

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, components, ⌈H/block⌉, ⌈W/block⌉). DataError for another channel count."""
        subspace = _require_fitted(self.subspace)
        self._check(images)
        return subspace.encode(self._blocks(images.float().cpu()).movedim(1, -1)).movedim(-1, 1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape. Raises DataError for another channel count."""
        blocks = _require_fitted(self.subspace).decode(self.encode(images).movedim(1, -1)).movedim(-1, 1)
        padded = F.pixel_shuffle(blocks, self.block)
        height, width = images.shape[-2:]
        return padded[..., :height, :width].clamp(0, 1).to(images)

    def _blocks(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C·block², ⌈H/block⌉, ⌈W/block⌉)."""
        height, width = images.shape[-2:]
        down, right = -height % self.block, -width % self.block
        mode = "reflect" if down < height and right < width else "replicate"
        return F.pixel_unshuffle(F.pad(images, (0, right, 0, down), mode=mode), self.block)

    def _check(self, images: Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.channels:
            raise DataError(
                "images (N, {channels}, H, W) are needed, got {shape}",
                id="metric.images-shape",
                channels=self.channels,
                shape=tuple(images.shape),
            )


def _iter_one_shape(batches: Iterable[Tensor]) -> Iterator[Tensor]:
    shape: tuple[int, ...] | None = None
    for batch in batches:
        shape = shape or tuple(batch.shape[1:])
        _check_shape(batch, shape)
        yield batch


def _check_shape(images: Tensor, shape: tuple[int, ...]) -> None:
    if images.ndim != 4 or tuple(images.shape[1:]) != shape:
        raise DataError(
            "this baseline is for images of shape {expected}, got {given}",
            id="metric.baseline-shape",
            expected=shape,
            given=tuple(images.shape[1:]),
        )


def _require_fitted(part: Part | None) -> Part:
    if part is None:
        raise UsageError(
            "this baseline has not been fitted yet; call fit() with training images first",
            id="metric.baseline-not-fitted",
        )
    return part


def _check_positive(number: int, name: str) -> int:
    if number < 1:
        raise UsageError(
            "{name} must be at least 1, got {number}", id="metric.least-one", name=name, number=number
        )
    return number


SIDE_PX = 9
RIDGE = 1e-6  # of the mean variance: what keeps equal columns of patches from dividing by zero


class PatchMap:
    """`target(x) ≈ weight · patch(x) + bias`, by least squares over all pixels.

    Borders are reflected, as far as images are larger than half a patch.

    Args:
        side: of the patches, odd.
    """

    def __init__(self, side: int = SIDE_PX) -> None:
        self.side = side
        self.weight: Tensor | None = None  # (T, C, side, side)
        self.bias: Tensor | None = None  # (T,)

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Self:
        """Fit to pairs `(N, C, H, W)`, `(N, T, H, W)` of floats in [0, 1].

        Raises:
            DataError: there are none.
        """
        inner: Tensor | None = None
        outer: Tensor | None = None
        for images, targets in batches:
            patches = self._patches(images).double()  # (n, C·side², H·W)
            ones = torch.ones_like(patches[:, :1])
            rows = torch.cat([patches, ones], 1).movedim(1, 0).flatten(1)
            outputs = targets.double().movedim(1, 0).flatten(1)
            inner = rows @ rows.T if inner is None else inner + rows @ rows.T
            outer = rows @ outputs.T if outer is None else outer + rows @ outputs.T
            channels = images.shape[1]
        if inner is None or outer is None:
            raise DataError("no pairs to fit the linear map to", id="metric.linear-map-no-pairs")
        ridge = RIDGE * inner.diagonal()[:-1].mean() * torch.eye(len(inner), dtype=inner.dtype)
        ridge[-1, -1] = 0
        solution = torch.linalg.solve(inner + ridge, outer).float()
        self.weight = solution[:-1].T.reshape(-1, channels, self.side, self.side).contiguous()
        self.bias = solution[-1].contiguous()
        return self

    def apply(self, images: Tensor) -> Tensor:
        """`(N, C, H, W)` → `(N, T, H, W)`, clipped to [0, 1].

        Raises:
            DataError: the map is not fitted.
        """
        if self.weight is None or self.bias is None:
            raise DataError("the linear map is not fitted", id="metric.linear-map-not-fitted")
        padded = self._padded(images)
        return F.conv2d(padded, self.weight.to(images), self.bias.to(images)).clamp(0, 1)

    def _patches(self, images: Tensor) -> Tensor:
        return F.unfold(self._padded(images), self.side)

    def _padded(self, images: Tensor) -> Tensor:
        edge = self.side // 2
        mode = "reflect" if min(images.shape[-2:]) > edge else "replicate"
        return F.pad(images, (edge,) * 4, mode=mode)
