"""A learned prior: flow matching (Lipman et al. 2023) that starts from a simpler prior, not from nothing.

A code is first whitened by the simpler prior: by its component of a Gaussian mixture (vectors), or by channel
(grids). Were that prior exact, white codes would be standard normal. The flow learns what it misses. On the
trigonometric path w(φ) = cos φ · noise + sin φ · white code (Albergo and Vanden-Eijnden 2023, "Building
normalizing flows with stochastic interpolants") the best velocity for white codes that really are standard
normal is zero: so an untrained network, which answers zero, is exactly the simpler prior, and training
can only move away from it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.generation.flow_network import GridVelocity, VectorVelocity, velocity
from isthmus.generation.mixture import Mixture
from isthmus.generation.moments import Moments
from isthmus.generation.prior import STEPS
from isthmus.model.allocation import room_for
from isthmus.model.attachment_check import (
    Rule,
    check_state,
    check_tensors,
    class_names,
    sides,
    whole_number,
)

_BATCH = 2048


class Base(Protocol):
    """The prior that a flow refines."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def parts(self, count: int, label: int | None, generator: torch.Generator) -> Tensor: ...

    def parts_of(self, codes: Tensor, label: int | None = None) -> Tensor: ...

    def from_noise(self, noise: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor: ...

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Channels:
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
        base: a `Mixture` for vector codes, `Channels` for grids.
        network: `(w, time in [0, 1], part) -> velocity`.
        facts: shape, width, depth, and how it was trained.
        moments: what the white codes it makes are mapped by, so that they vary as much as they should.
    """

    base: Mixture | Channels
    network: VectorVelocity | GridVelocity
    facts: dict[str, Any] = field(default_factory=dict)
    moments: Moments | None = None
    kind: str = "flow"

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
        carried = self._carried(noise, parts, steps, forward=True)
        return carried if self.moments is None else self.moments.applied(carried)

    def to_noise(self, codes: Tensor, parts: Tensor, *, steps: int = STEPS) -> Tensor:
        white = self.base.to_noise(codes, parts)
        if self.moments is not None:
            white = self.moments.undone(white)
        return self._carried(white, parts, steps, forward=False)

    @torch.no_grad()
    def _carried(self, start: Tensor, parts: Tensor, steps: int, *, forward: bool) -> Tensor:
        """Along the flow by Heun's method: `steps` equal steps of φ, two evaluations each."""
        done = []
        for x, part in zip(torch.split(start, _BATCH), torch.split(parts, _BATCH), strict=True):
            times = torch.linspace(0, 1, steps + 1)
            if not forward:
                times = times.flip(0)
            for now, then in itertools.pairwise(times):
                step = (then - now) * (math.pi / 2)
                first = self.network(x, now.expand(len(x)), part)
                second = self.network(x + step * first, then.expand(len(x)), part)
                x = x + step * 0.5 * (first + second)
            done.append(x)
        return torch.cat(done)

    def stored(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        facts = {**self.facts, "kind": self.kind, "classes": list(self.classes)}
        if isinstance(self.base, Mixture):
            base, about = self.base.stored()
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
    def restored(cls, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Flow:
        """The inverse of `stored`.

        Raises:
            LookupError, TypeError, ValueError: they are not such a prior.
        """
        base_tensors = {k.removeprefix("base."): t for k, t in tensors.items() if k.startswith("base.")}
        classes = class_names(facts)
        shape = sides(facts, "shape", count=(1, 3), high=2**24)
        base: Mixture | Channels
        if "base" in facts:
            base = Mixture.restored(base_tensors, facts["base"])
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
            base = Channels(base_tensors["mean"], base_tensors["deviation"], base_tensors["weights"], classes)
        own = {k.removeprefix("network."): t for k, t in tensors.items() if k.startswith("network.")}
        width, depth = whole_number(facts, "width", 1, 65_536), whole_number(facts, "depth", 1, len(own))
        with room_for(tensors.values()):
            network = velocity(shape, len(base.weights), width, depth)
        check_state(network, own)
        network.load_state_dict(own, assign=True)
        moments = None
        if "moments.matrix" in tensors:
            parts = {"matrix": tensors["moments.matrix"], "offset": tensors["moments.offset"]}
            check_tensors(parts, {"matrix": Rule("C", "C"), "offset": Rule("C")}, C=shape[0])
            moments = Moments(**parts)
        return cls(base, network.eval().requires_grad_(False), dict(facts), moments)
