"""Random numbers of a step that do not depend on how many processes share it.

Every draw whose first axis is the images of this process is made for the images of all and cut to its part,
so that an image meets the same noise as in one process. Drawing costs each process what one would have drawn;
beside a network that is little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from isthmus.errors import CapabilityError
from isthmus.model.recipe import Recipe

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


def drawn_alike(recipe: Recipe) -> bool:
    """Whether all that a recipe draws has the images as its first axis.

    Otherwise (counts of photons, which hang on the pixels; masks drawn image by image; qualities that are
    spread over a batch) each process draws its own numbers.
    """
    return all(axis.draws_per_image for axis in (recipe.corruption, recipe.bottleneck, recipe.critic))


def check_distributed(recipe: Recipe) -> None:
    """Raises:
    CapabilityError: a part of the recipe does not state that processes compute with it what one would.
    """
    for point in recipe.points:
        if not point.may_distribute:
            raise CapabilityError(
                "not in several processes: {axis} '{kind}' does not state that they compute with it "
                "what one would",
                id="training.not-distributed",
                axis=point.axis,
                kind=point.kind,
            )
    for term in recipe.objective.terms:
        if not term.is_per_image:
            raise CapabilityError(
                "not in several processes: image term '{name}' does not state that it judges each "
                "image by itself",
                id="training.term-not-distributed",
                name=term.name,
            )
