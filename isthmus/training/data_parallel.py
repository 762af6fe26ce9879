"""`DataParallel`: several processes share every step, with the same result as one process.

The random numbers of a step do not depend on the number of processes. A draw whose first axis is the images
is made for the whole batch and cut to this process's part, so every image gets the same noise as in one
process. Each process draws for the whole batch, which costs little compared with the network.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from isthmus.errors import CapabilityError, Hint, UsageError
from isthmus.images.batches import Batch
from isthmus.model.bottlenecks.interface import means_joined_by
from isthmus.model.recipe import Recipe
from isthmus.training.distributed import ProcessGroup
from isthmus.training.players import (
    GradientStrategy,
    Learner,
    Logged,
    accumulate_gradients,
    generator_for,
    step_seed,
    takes_chunks,
)

_DRAWS: tuple[Any, ...] = (torch.rand, torch.randn, torch.randint)


class SharedDraws(TorchFunctionMode):
    """Within: `torch.rand`, `randn` and `randint` with a generator draw for `total` images, give `part`."""

    def __init__(self, part: slice, total: int) -> None:
        super().__init__()
        self.part, self.total = part, total

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _DRAWS or kwargs.get("generator") is None:
            return func(*args, **kwargs)
        bounds, shape = (args[:-1], args[-1]) if func is torch.randint else ((), args)
        sizes = tuple(shape[0]) if shape and not isinstance(shape[0], int) else tuple(shape)
        if not sizes or sizes[0] != self.part.stop - self.part.start:
            return func(*args, **kwargs)
        return func(*bounds, (self.total, *sizes[1:]), **kwargs)[self.part]


class DataParallel(GradientStrategy):
    """The strategy of several processes: gradients of the parts of a batch are summed.

    Args:
        group: the processes.
        recipe: of the autoencoder that is trained.
        learner: whose module is trained.

    Raises:
        CapabilityError: a part of the recipe does not state that processes compute with it what one would.
        UsageError: batch normalisation.
    """

    def __init__(self, group: ProcessGroup, recipe: Recipe, learner: Learner) -> None:
        check_distributed(recipe)
        if any(isinstance(m, _BatchNorm) for m in learner.module.modules()):
            raise UsageError(
                "a recipe with batch normalisation cannot train in several processes: its "
                "statistics would come from one process's part of each batch",
                id="training.batch-norm-processes",
                hint=Hint.add(settings="backbone.norm=none"),
            )
        self.group = group
        self.draws_alike = draws_per_image(recipe)

    def backward(
        self,
        learner: Learner,
        batch: Batch,
        step: int,  # noqa: ARG002
        seed: int,
        progress: float,
    ) -> Logged:
        one_pass = not takes_chunks(learner)
        alike = self.draws_alike and one_pass
        generator = generator_for(learner, seed if alike else step_seed(seed, self.group.number))
        with contextlib.ExitStack() as stack:
            if one_pass:
                join = self.group.mean_joiner(len(batch.images) / batch.total)
                stack.enter_context(means_joined_by(join))
            if alike:
                stack.enter_context(SharedDraws(batch.part, batch.total))
            logged = accumulate_gradients(learner, batch, generator, progress)
        return self._sum(learner, logged)

    def _sum(self, learner: Learner, logged: Logged) -> Logged:
        """Gradients and losses of this process become those of the whole batch, in one message."""
        names = list(logged[0][0])
        losses = torch.stack([sum(parts[n] * share for parts, share in logged) for n in names])  # type: ignore[misc]
        moved = [p.grad for player in learner.players for p in player.parameters if p.grad is not None]
        self.group.sum_over_processes([*moved, losses])
        return [(dict(zip(names, losses.unbind(), strict=True)), 1.0)]


def draws_per_image(recipe: Recipe) -> bool:
    """Whether all that a recipe draws has the images as its first axis.

    Otherwise each process draws its own numbers: for counts of photons, which depend on the pixels, masks
    drawn image by image, and qualities spread over a batch.
    """
    return all(axis.draws_per_image for axis in (recipe.corruption, recipe.bottleneck, recipe.critic))


def check_distributed(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: a part of the recipe does not state that processes compute with it what one would.
    """
    for point in recipe.points:
        if not point.may_distribute:
            raise CapabilityError(
                "this recipe cannot train in several processes: {axis} '{kind}' does not declare "
                "may_distribute",
                id="training.not-distributed",
                axis=point.axis,
                kind=point.kind,
            )
    for term in recipe.objective.terms:
        if not term.is_per_image:
            raise CapabilityError(
                "this recipe cannot train in several processes: image term '{name}' does not "
                "declare that it is computed for each image separately",
                id="training.term-not-distributed",
                name=term.name,
            )
