"""Gaussians over codes, and mixtures of them (scikit-learn's EM); one mixture per class where labels exist.

A code is a point of a principal subspace plus independent noise in the rest. Up to 256 numbers the subspace
is everything, and the noise nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, UsageError
from isthmus.generation.prior import STEPS
from isthmus.images.store import Indices
from isthmus.metrics.baselines import Subspace, principal_subspace
from isthmus.model.attachment_check import Rule, check_tensors, class_names, sides

COMPONENTS = 100
FLOW_COMPONENTS = 400  # where a flow refines the mixture
MAX_DIMENSIONS = 256
EM_ITERATIONS = 60
MIN_SINGLE_PRECISION_CODES = 5000
_TENSORS = ("rest", "weights", "means", "factors", "owners")
MIN_CODES_PER_DIMENSION = 4  # codes per component and dimension below which fewer components are fitted


@dataclass(frozen=True, eq=False)
class Mixture:
    """K normal distributions with full covariances.

    Attributes:
        shape: of one code; D numbers in all.
        space: the subspace of k dimensions; rest: `()` standard deviation of what lies outside of it, alike
            in all directions (probabilistic PCA, Tipping and Bishop 1999).
        weights: `(K,)`, sum 1; means: `(K, k)`; factors: `(K, k, k)` lower triangular, covariance = L Lᵀ.
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
        columns = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            white = torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False)
            volume = factor.diagonal().log().sum()
            columns.append(weight.clamp_min(1e-30).log() - volume - 0.5 * white.square().sum(0))
        joint = torch.stack(columns, 1)
        return joint if label is None else joint.masked_fill(self.owners != label, -torch.inf)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        flat = noise.flatten(1)
        inside = self.space.encode(flat + self.space.mean)  # the noise's own coordinates in the subspace
        outside = flat - inside @ self.space.basis
        rows = self.means[parts] + torch.einsum("nij,nj->ni", self.factors[parts], inside)
        return (self.space.decode(rows) + outside * self.rest).reshape(-1, *self.shape)

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        flat = codes.flatten(1)
        rows = self.space.encode(flat)
        outside = (flat - self.space.decode(rows)) / self.rest if self.rest > 0 else torch.zeros_like(flat)
        factors = self.factors[parts]
        inside = torch.linalg.solve_triangular(factors, (rows - self.means[parts])[..., None], upper=False)
        noise: Tensor = inside[..., 0] @ self.space.basis + outside
        return noise.reshape(-1, *self.shape)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"mean": self.space.mean, "basis": self.space.basis}
        tensors |= {name: getattr(self, name) for name in _TENSORS}
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
        check_tensors(
            tensors,
            {
                "mean": Rule("D"),
                "basis": Rule("k", "D"),
                "rest": Rule(low=0),
                "weights": Rule("K", low=0, high=1),
                "means": Rule("K", "k"),
                "factors": Rule("K", "k", "k"),
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
            **{name: tensors[name] for name in _TENSORS},
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
) -> Mixture:
    """A mixture of Gaussians with full covariances over codes.

    With labels each class has a mixture of its own, and the components are shared out evenly. Where there are
    too few codes for so many components there are fewer, down to one (per class).

    Args:
        codes: `(N, …)`, at least two.
        components: in all; 1 (or the number of classes) is a Gaussian (per class).
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
    fitted = [_fit_part(part, components // len(groups), rows, seed) for _, part in groups]
    shares = [len(part) / len(rows) for _, part in groups]
    return Mixture(
        shape=tuple(codes.shape[1:]),
        space=space,
        rest=rest,
        weights=torch.cat([w * share for (w, _, _), share in zip(fitted, shares, strict=True)]),
        means=torch.cat([m for _, m, _ in fitted]),
        factors=torch.cat([f for _, _, f in fitted]),
        owners=torch.tensor([k for (k, _), (w, _, _) in zip(groups, fitted, strict=True) for _ in w]),
        classes=names,
        kind="gaussian" if components <= len(groups) else "mixture",
    )


def _fit_part(part: Tensor, components: int, everything: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    count, width = part.shape
    # A covariance of few codes has directions without any extent: some of everybody's variance goes into it.
    spread = everything.var(0).mean().clamp_min(1e-12)
    shrink = min(1.0, width / max(1, count)) * 0.1 + 1e-4
    most = max(1, min(components, count // (MIN_CODES_PER_DIMENSION * width)))
    model = GaussianMixture(
        most, reg_covar=float(spread * shrink), max_iter=EM_ITERATIONS, tol=3e-3, random_state=seed
    )
    rows = (
        part if count > MIN_SINGLE_PRECISION_CODES else part.double()
    ).numpy()  # large sets in single precision
    if count < 2:
        rows = np.concatenate([rows, rows])
    with warnings.catch_warnings():
        # An EM that has not quite settled is a prior none the less.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows)
    factors = np.linalg.cholesky(model.covariances_)
    return tuple(  # type: ignore[return-value]
        torch.from_numpy(np.asarray(array)).float() for array in (model.weights_, model.means_, factors)
    )
