"""A linear map that gives samples the mean and covariance that they should have.

A velocity learned by least squares lacks what noise hides from it, so a flow's samples vary less than the
codes it was trained on. The map between two normal distributions that moves least mends the first two
moments (Peyré and Cuturi 2019, "Computational optimal transport", remark 2.31) and leaves the rest alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.generation.flow_network import Velocity, build_velocity
from isthmus.generation.mixture import Mixture
from isthmus.generation.prior import STEPS
from isthmus.model.allocation import room_for
from isthmus.model.attachment_check import Rule, check_state, check_tensors, class_names, sides, whole_number

ROWS_PER_NUMBER = 20  # of codes, below which a covariance is not known well enough to be matched


@dataclass(frozen=True, eq=False)
class MomentMatch:
    """`x ↦ matrix · x + offset` over the numbers of a vector, or over the channels of a grid.

    Attributes:
        matrix: `(C, C)` symmetric, positive definite; offset: `(C,)`.
    """

    matrix: Tensor
    offset: Tensor

    def apply(self, codes: Tensor) -> Tensor:
        """`(N, C)` or `(N, C, h, w)`, mapped."""
        return self._multiply(codes, self.matrix) + _broadcast(self.offset, codes)

    def invert(self, codes: Tensor) -> Tensor:
        """The inverse of `applied`."""
        return self._multiply(codes - _broadcast(self.offset, codes), torch.linalg.inv(self.matrix))

    def _multiply(self, codes: Tensor, matrix: Tensor) -> Tensor:
        return torch.einsum("ij,nj...->ni...", matrix, codes)


def fit_moments(made: Tensor, target: Tensor) -> MomentMatch:
    """The map under which `made` has the moments of `target`, both `(n, C)` or `(n, C, h, w)`.

    With few rows only the total variance is matched.
    """
    ours, theirs = _rows(made).double(), _rows(target).double()
    first, second = torch.cov(ours.T).view(2 * [ours.shape[1]]), torch.cov(theirs.T).view(2 * [ours.shape[1]])
    if min(len(made), len(target)) < ROWS_PER_NUMBER * ours.shape[1]:
        scale = (second.trace() / first.trace().clamp_min(1e-12)).sqrt()
        matrix = scale * torch.eye(len(first), dtype=torch.float64)
    else:
        root, inverse = _power(first, 0.5), _power(first, -0.5)
        matrix = inverse @ _power(root @ second @ root, 0.5) @ inverse
    offset = theirs.mean(0) - matrix @ ours.mean(0)
    return MomentMatch(matrix.float(), offset.float())


def _rows(codes: Tensor) -> Tensor:
    return codes if codes.ndim == 2 else codes.movedim(1, -1).flatten(0, -2)


def _power(symmetric: Tensor, exponent: float) -> Tensor:
    values, vectors = torch.linalg.eigh(symmetric)
    floor = 1e-8 * float(values.max().clamp_min(1e-12))
    power: Tensor = vectors * values.clamp_min(floor) ** exponent @ vectors.T
    return power


def _broadcast(offset: Tensor, codes: Tensor) -> Tensor:
    return offset.view(-1, *(1,) * (codes.ndim - 2))


_BATCH = 2048


@dataclass(frozen=True, eq=False)
class ChannelNormal:
    """Grid codes by channel: a mean and a deviation each, for grids of any size; parts are classes.

    Attributes:
        mean, deviation: `(C, 1, 1)`.
        weights: `(K,)` how often each class occurs; one entry without classes.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    classes: tuple[str, ...] = ()

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:
        if label is not None:
            if not self.weights[label] > 0:
                raise UsageError(
                    "the prior was fitted to no image of class '{name}'",
                    id="prior.class-without-images",
                    name=self.classes[label],
                )
            return torch.full((count,), label, dtype=torch.int64)
        return torch.multinomial(self.weights.double(), count, replacement=True, generator=generator)

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:
        # Nothing here tells the class of a grid code: the most frequent one stands in where it is not said.
        chosen = int(self.weights.argmax()) if label is None else label
        return torch.full((len(codes),), chosen, dtype=torch.int64)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return noise * self.deviation + self.mean

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:  # noqa: ARG002
        return (codes - self.mean) / self.deviation


@dataclass(frozen=True, eq=False)
class Flow:
    """A base prior and the velocity field that refines it.

    Attributes:
        base: a `Mixture` for vector codes and grids of one size, `ChannelNormal` for grids of any size.
        network: `(w, time in [0, 1], part) -> velocity`.
        facts: shape, width, depth, and how it was trained.
        moments: what the white codes it makes are mapped by, so that they vary as much as they should.
        kind: `attention` where the network attends to all positions of a grid of one size.
        guidance: factor on what the part changes in the velocity (Ho and Salimans 2022); 1 leaves it alone.
    """

    base: Mixture | ChannelNormal
    network: Velocity
    facts: dict[str, Any] = field(default_factory=dict)
    moments: MomentMatch | None = None
    kind: str = "flow"
    guidance: float = 1.0

    @property
    def classes(self) -> tuple[str, ...]:
        return self.base.classes

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor:
        return self.base.parts(count, label, generator)

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor:
        return self.base.parts_of(codes, label)

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        return self.base.from_noise(self.white(noise, parts, steps), parts)

    def white(self, noise: Tensor, parts: Tensor, steps: int = STEPS) -> Tensor:
        """What the base makes codes of: noise, carried along the flow."""
        carried = self._integrate(noise, parts, steps, forward=True)
        return carried if self.moments is None else self.moments.apply(carried)

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        white = self.base.to_noise(codes, parts)
        if self.moments is not None:
            white = self.moments.invert(white)
        return self._integrate(white, parts, steps, forward=False)

    @torch.no_grad()
    def _integrate(self, start: Tensor, parts: Tensor, steps: int, *, forward: bool) -> Tensor:
        """Along the flow by Heun's method: `steps` equal steps of φ, two evaluations each."""
        done = []
        for x, part in zip(torch.split(start, _BATCH), torch.split(parts, _BATCH), strict=True):
            times = torch.linspace(0, 1, steps + 1)
            if not forward:
                times = times.flip(0)
            for now, then in itertools.pairwise(times):
                step = (then - now) * (math.pi / 2)
                first = self._velocity(x, now, part)
                second = self._velocity(x + step * first, then, part)
                x = x + step * 0.5 * (first + second)
            done.append(x)
        return torch.cat(done)

    def _velocity(self, x: Tensor, time: Tensor, parts: Tensor) -> Tensor:
        times = time.expand(len(x))
        velocity: Tensor = self.network(x, times, parts)
        if self.guidance == 1.0:
            return velocity
        plain = self.network(x, times, torch.full_like(parts, len(self.base.weights)))
        guided: Tensor = plain + self.guidance * (velocity - plain)
        return guided

    @property
    def can_be_guided(self) -> bool:
        """Whether the network was also trained without its part."""
        return bool(self.facts.get("unguided"))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        facts = {**self.facts, "kind": self.kind, "classes": list(self.classes)}
        if isinstance(self.base, Mixture):
            base, about = self.base.state()
            facts["base"] = about
        else:
            base = {
                "mean": self.base.mean,
                "deviation": self.base.deviation,
                "weights": self.base.weights,
            }
        if self.moments is not None:
            tensors |= {"moments.matrix": self.moments.matrix, "moments.offset": self.moments.offset}
        return tensors | {f"base.{name}": t for name, t in base.items()}, facts

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Flow:
        """The inverse of `stored`.

        Raises:
            LookupError, TypeError, ValueError: they are not such a prior.
        """
        base_tensors = {k.removeprefix("base."): t for k, t in tensors.items() if k.startswith("base.")}
        classes = class_names(facts)
        shape = sides(facts, "shape", count=(1, 3), high=2**24)
        base: Mixture | ChannelNormal
        if "base" in facts:
            base = Mixture.from_state(base_tensors, facts["base"])
            if base.shape != shape or base.classes != classes:
                raise ValueError("its base is another prior's")
        else:
            rules = {
                "mean": Rule("C", 1, 1),
                "deviation": Rule("C", 1, 1, low=1e-18),
                "weights": Rule("K", low=0),
            }
            check_tensors(base_tensors, rules, C=shape[0], K=max(1, len(classes)))
            if float(base_tensors["weights"].sum()) <= 0:
                raise ValueError("no class ever occurs")
            base = ChannelNormal(
                base_tensors["mean"], base_tensors["deviation"], base_tensors["weights"], classes
            )
        own = {k.removeprefix("network."): t for k, t in tensors.items() if k.startswith("network.")}
        width, depth = whole_number(facts, "width", 1, 65_536), whole_number(facts, "depth", 1, len(own))
        with room_for(tensors.values()):
            unguided = whole_number(facts, "unguided", 0, 1) if "unguided" in facts else 0
            kind = "attention" if facts["kind"] == "attention" else "flow"
            network = build_velocity(
                shape, len(base.weights) + unguided, width, depth, attends=kind == "attention"
            )
        check_state(network, own)
        network.load_state_dict(own, assign=True)
        moments = None
        if "moments.matrix" in tensors:
            parts = {"matrix": tensors["moments.matrix"], "offset": tensors["moments.offset"]}
            check_tensors(parts, {"matrix": Rule("C", "C"), "offset": Rule("C")}, C=shape[0])
            moments = MomentMatch(**parts)
        return cls(base, network.eval().requires_grad_(False), dict(facts), moments, kind)
