"""A weighted sum of terms, each a function of the trace, reduced to one number per image.

Scale: image terms are means per pixel-channel. Code terms are in nats per image and are divided by the number
of pixel-channels here, so that a weight means the same at every image and batch size, and so that `bce` with
a KL of weight 1 is exactly the negative ELBO per pixel-channel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from isthmus.model.axes.point import resolve
from isthmus.model.image_terms import IMAGE_TERMS, parse_sum
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Trace


@dataclass(frozen=True)
class Term:
    """One summand.

    Attributes:
        name: as it appears in logs.
        weight: its factor.
        measure: `trace -> (N,)`.
        warmup: share of the training over which the weight rises linearly from zero.
        per_image: the measure is in nats per image and is divided by the number of pixel-channels.
        of_image: an image term; the bottleneck may weight these, and its penalty, for each image (`Latent`).
        validated: counts in the validation loss; the terms of a critic do not.
    """

    name: str
    weight: float
    measure: Callable[[Trace], Tensor]
    warmup: float = 0.0
    per_image: bool = False
    of_image: bool = False
    validated: bool = True

    def weight_at(self, progress: float) -> float:
        """The weight when `progress` in [0, 1] of the training is done."""
        return self.weight * min(1.0, progress / self.warmup) if self.warmup > 0 else self.weight


@dataclass(frozen=True)
class Objective:
    """What one player minimises."""

    terms: tuple[Term, ...]

    def __call__(self, trace: Trace, progress: float = 1.0) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective per image `(N,)`; and each term's batch mean before its weight, detached."""
        total = torch.zeros(trace.images.shape[0], device=trace.images.device)
        parts: dict[str, Tensor] = {}
        for term in self.terms:
            value = term.measure(trace)
            parts[term.name] = value.detach().mean()
            scale = term.weight_at(progress) / (trace.pixels if term.per_image else 1)
            weight = trace.code.image_weight if term.of_image else trace.code.code_weight
            total = total + scale * (value if weight is None else value * weight)
        return total, parts

    def validated(self) -> Objective:
        """The terms that count on held-out images."""
        return Objective(tuple(t for t in self.terms if t.validated))


def image_terms(recipe: Recipe) -> tuple[Term, ...]:
    """The image part of a recipe's objective."""
    return tuple(
        Term(
            name, weight * recipe.objective.weight, resolve(IMAGE_TERMS[name].measure), warmup, of_image=True
        )
        for name, weight, warmup in parse_sum(recipe.objective.image)
    )


def code_terms(bottleneck: torch.nn.Module) -> tuple[Term, ...]:
    """The bottleneck's own penalty, if it has one."""
    from isthmus.model.bottlenecks.interface import Bottleneck

    assert isinstance(bottleneck, Bottleneck)
    if not bottleneck.penalty_name:
        return ()
    return (
        Term(
            bottleneck.penalty_name, bottleneck.weight, bottleneck.penalty, bottleneck.warmup, per_image=True
        ),
    )
