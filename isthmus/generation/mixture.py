"""Gaussians over codes, and mixtures of them (scikit-learn's EM); one mixture per class where labels exist.

Where codes are too few for many full covariances, clusters of them share one (`clusters.py`).

A code is a point of a principal subspace plus independent noise in the rest. Up to 256 numbers the subspace
is everything, and the noise nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, UsageError
from isthmus.generation.clusters import choose_clusters, squared_distances
from isthmus.generation.prior import STEPS
from isthmus.images.store import Indices
from isthmus.metrics.baselines import Subspace, principal_subspace
from isthmus.model.attachment_check import Rule, check_tensors, class_names, sides

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

COMPONENTS = 100
FLOW_COMPONENTS = 400  # where a flow refines the mixture
MAX_DIMENSIONS = 256
EM_ITERATIONS = 60
MIN_SINGLE_PRECISION_CODES = 5000
_TENSORS = ("rest", "weights", "means", "factors", "owners")
_SHARING = ("forms", "scales")  # stored where components share a covariance
MIN_CODES_PER_DIMENSION = 4  # codes per component and dimension below which fewer components are fitted
FEW_COMPONENTS = 8  # of full covariances; where there are fewer, clusters that share one are tried


@dataclass(frozen=True, eq=False)
class Mixture:
    """K normal distributions, of which each has its own covariance or some share one but for its scale.

    Attributes:
        shape: of one code; D numbers in all.
        space: the subspace of k dimensions; rest: `()` standard deviation of what lies outside of it, alike
            in all directions (probabilistic PCA, Tipping and Bishop 1999).
        weights: `(K,)`, sum 1; means: `(K, k)`; factors: `(F, k, k)` lower triangular.
        forms: `(K,)` int64: each component's factor L; scales: `(K,)`: its covariance is scale² L Lᵀ.
        owners: `(K,)` the class of each component, −1 without classes.
        classes: their names.
        kind: `mixture`, or `gaussian` where one component (per class) was asked for.
    """

    shape: tuple[int, ...]
    space: Subspace
    rest: Tensor
    weights: Tensor
    means: Tensor
    factors: Tensor
    forms: Tensor
    scales: Tensor
    owners: Tensor
    classes: tuple[str, ...] = ()
    kind: str = "mixture"

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:
        weights = self.weights if label is None else self.weights * (self.owners == label)
        if label is not None and not bool(weights.any()):
            raise UsageError(
                "the prior was fitted to no image of class '{name}'",
                id="prior.class-without-images",
                name=self.classes[label],
            )
        return torch.multinomial(weights.double(), count, replacement=True, generator=generator)

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:
        return self.log_joint(codes, label).argmax(1)

    def sample_parts(self, codes: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """`(N,)` a component for each code, drawn by its responsibility, of the code's own class if known."""
        log_joint = self.log_joint(codes)
        if labels is not None and self.classes:
            log_joint = log_joint.masked_fill(self.owners != labels[:, None], -torch.inf)
        probabilities = torch.softmax(log_joint, 1)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]

    def log_joint(self, codes: Tensor, label: int | None = None) -> Tensor:
        """`(N, K)`: ln p(component) + ln p(code | component), up to a constant."""
        rows = self.space.encode(codes.flatten(1))
        joint = rows.new_empty(len(rows), len(self.weights))
        for form, factor in enumerate(self.factors):
            own = (self.forms == form).nonzero()[:, 0]
            scales = self.scales[own]
            volume = factor.diagonal().log().sum() + rows.shape[1] * scales.log()
            exponents = 0.5 * squared_distances(rows, self.means[own], factor) / scales.square()
            joint[:, own] = self.weights[own].clamp_min(1e-30).log() - volume - exponents
        return joint if label is None else joint.masked_fill(self.owners != label, -torch.inf)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        flat = noise.flatten(1)
        inside = self.space.encode(flat + self.space.mean)  # the noise's own coordinates in the subspace
        outside = flat - inside @ self.space.basis
        spread = torch.empty_like(inside)
        for form, own in self._by_form(parts):
            spread[own] = inside[own] @ self.factors[form].T
        rows = self.means[parts] + self.scales[parts][:, None] * spread
        return (self.space.decode(rows) + outside * self.rest).reshape(-1, *self.shape)

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        flat = codes.flatten(1)
        rows = self.space.encode(flat)
        outside = (flat - self.space.decode(rows)) / self.rest if self.rest > 0 else torch.zeros_like(flat)
        spread = (rows - self.means[parts]) / self.scales[parts][:, None]
        inside = torch.empty_like(spread)
        for form, own in self._by_form(parts):
            inside[own] = torch.linalg.solve_triangular(self.factors[form], spread[own].T, upper=False).T
        noise = inside @ self.space.basis + outside
        return noise.reshape(-1, *self.shape)

    def _by_form(self, parts: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Each factor of these parts, and the rows that it is for."""
        forms = self.forms[parts]
        for form in forms.unique().tolist():
            yield form, (forms == form).nonzero()[:, 0]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"mean": self.space.mean, "basis": self.space.basis}
        shared = len(self.factors) < len(self.weights)
        tensors |= {name: getattr(self, name) for name in _TENSORS + (_SHARING if shared else ())}
        facts = {
            "kind": self.kind,
            "shape": list(self.shape),
            "components": len(self.weights),
            "classes": list(self.classes),
        }
        return tensors, facts

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Mixture:
        """The inverse of `stored`.

        Raises:
            LookupError, TypeError, ValueError: they are not such a prior.
        """
        shape, classes = sides(facts, "shape", count=(1, 3), high=2**24), class_names(facts)
        count = len(tensors["weights"])
        own = {"forms": torch.arange(count), "scales": torch.ones(count)}
        tensors = own | dict(tensors)
        check_tensors(
            tensors,
            {
                "mean": Rule("D"),
                "basis": Rule("k", "D"),
                "rest": Rule(low=0),
                "weights": Rule("K", low=0, high=1),
                "means": Rule("K", "k"),
                "factors": Rule("F", "k", "k"),
                "forms": Rule("K", kind="int64", low=0, high=len(tensors["factors"]) - 1),
                "scales": Rule("K", low=1e-12),
                "owners": Rule("K", kind="int64", low=-1, high=len(classes) - 1),
            },
            D=math.prod(shape),
        )
        if not 0 < float(tensors["weights"].sum()) < 1.01:
            raise ValueError("weights do not sum to 1")
        if float(tensors["factors"].diagonal(dim1=1, dim2=2).min()) <= 0:
            raise ValueError("a covariance is not positive definite")
        return cls(
            shape=shape,
            space=Subspace(tensors["mean"], tensors["basis"]),
            **{name: tensors[name] for name in _TENSORS + _SHARING},
            classes=classes,
            kind="gaussian" if facts["kind"] == "gaussian" else "mixture",
        )


def fit_mixture(
    codes: Tensor,
    *,
    components: int = COMPONENTS,
    dimensions: int = MAX_DIMENSIONS,
    labels: Indices | None = None,
    classes: tuple[str, ...] = (),
    seed: int = 0,
    may_share: bool = True,
) -> Mixture:
    """A mixture of Gaussians over codes.

    With labels each class has a mixture of its own, and the components are shared out evenly. Where there are
    too few codes for so many full covariances, there are fewer components, down to one (per class), or
    clusters that share a covariance, whichever makes held-out codes likelier.

    Args:
        codes: `(N, …)`, at least two.
        components: at most, in all; 1 (or the number of classes) is a Gaussian (per class).
        may_share: whether components may share a covariance.
        dimensions: of the principal subspace that is modelled in full.

    Raises:
        UsageError: no component or dimension is asked for.
        DataError: fewer than two codes, or values that are not finite.
    """
    if components < 1 or dimensions < 1:
        raise UsageError("a mixture needs at least one component and one dimension", id="prior.mixture-size")
    if len(codes) < 2 or not bool(codes.isfinite().all()):
        raise DataError("a prior needs at least two codes, all of them finite", id="prior.codes")
    flat = codes.flatten(1).float()
    space = principal_subspace(torch.split(flat, 4096), min(dimensions, flat.shape[1]), seed=seed)
    rows = space.encode(flat)
    outside = flat.shape[1] - len(space.basis)
    lost = (flat - space.decode(rows)).square().sum(1).mean()
    rest = (lost / outside).sqrt() if outside else torch.zeros(())
    present = sorted({int(k) for k in labels.tolist()}) if labels is not None else []
    names = classes if labels is not None and len(present) > 1 else ()
    groups: list[tuple[int, Tensor]] = [(-1, rows)]
    if names and labels is not None:
        marks = torch.from_numpy(labels)
        groups = [(k, rows[marks == k]) for k in present]
    fitted = [_fit_part(part, components // len(groups), rows, seed, may_share) for _, part in groups]
    shares = [len(part) / len(rows) for _, part in groups]
    first_forms = np.cumsum([0, *(len(part.factors) for part in fitted)]).tolist()
    return Mixture(
        shape=tuple(codes.shape[1:]),
        space=space,
        rest=rest,
        weights=torch.cat([part.weights * share for part, share in zip(fitted, shares, strict=True)]),
        means=torch.cat([part.means for part in fitted]),
        factors=torch.cat([part.factors for part in fitted]),
        forms=torch.cat([part.forms + first for part, first in zip(fitted, first_forms[:-1], strict=True)]),
        scales=torch.cat([part.scales for part in fitted]),
        owners=torch.tensor([k for (k, _), part in zip(groups, fitted, strict=True) for _ in part.weights]),
        classes=names,
        kind="gaussian" if components <= len(groups) else "mixture",
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The components of one class, see `Mixture`."""

    weights: Tensor
    means: Tensor
    factors: Tensor
    forms: Tensor
    scales: Tensor


def _fit_part(part: Tensor, components: int, everything: Tensor, seed: int, may_share: bool) -> _Part:
    count, width = part.shape
    # A covariance of few codes has directions without any extent: some of everybody's variance goes into it.
    spread = everything.var(0).mean().clamp_min(1e-12)
    shrink = min(1.0, width / max(1, count)) * 0.1 + 1e-4
    ridge = float(spread * shrink)
    most = max(1, min(components, count // (MIN_CODES_PER_DIMENSION * width)))
    if may_share and most < min(components, FEW_COMPONENTS):

        def score_full(fitting_rows: Tensor, test_rows: Tensor) -> float:
            return float(_fit_full(fitting_rows, most, ridge, seed).score(test_rows.numpy()))

        clusters = choose_clusters(part.double(), components, ridge, score_full, seed)
        if clusters is not None:
            forms = torch.zeros(len(clusters.weights), dtype=torch.int64)
            return _Part(
                clusters.weights.float(), clusters.means.float(), clusters.factor.float()[None], forms,
                clusters.scales.float(),
            )  # fmt: skip
    model = _fit_full(part, most, ridge, seed)
    arrays = (model.weights_, model.means_, np.linalg.cholesky(model.covariances_))
    weights, means, factors = (torch.from_numpy(np.asarray(array)).float() for array in arrays)
    return _Part(weights, means, factors, torch.arange(most), torch.ones(most))


def _fit_full(part: Tensor, components: int, ridge: float, seed: int) -> GaussianMixture:
    """Scikit-learn's mixture with full covariances."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    count = len(part)
    model = GaussianMixture(components, reg_covar=ridge, max_iter=EM_ITERATIONS, tol=3e-3, random_state=seed)
    rows = (
        part if count > MIN_SINGLE_PRECISION_CODES else part.double()
    ).numpy()  # large sets in single precision
    if count < 2:
        rows = np.concatenate([rows, rows])
    with warnings.catch_warnings():
        # An EM that has not quite settled is a prior none the less.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows)
    return model
