"""How much memory a network may ask for while it is built, known before it asks.

Building on torch's meta device would tell as well, but the first thing that torch computes there loads its
compiler, which takes longer than many a command.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from isthmus.model.seeded import seeded

SPARE = 4  # numbers made while a network is built for each that it keeps
SPARE_LEAST = 10_000_000  # which small ones may make in any case


class TooLargeError(ValueError):
    """A network asked for more numbers than it was allowed."""


def _product(*size: Any, **given: Any) -> int:
    sides = given.get("size", size)
    return math.prod(sides[0] if sides and isinstance(sides[0], Sequence) else sides)


# How many numbers a call makes, of the calls whose arguments say so.
_COUNTS: dict[Callable[..., Any], Callable[..., int]] = {
    **dict.fromkeys((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn), _product),
    torch.full: lambda size, *_, **__: math.prod(size),
    torch.eye: lambda n, m=None, **_: n * (n if m is None else m),
    torch.arange: lambda *ends, **_: len(range(*map(int, ends))),
    torch.linspace: lambda start, end, steps, **_: steps,  # noqa: ARG005
    Tensor.repeat: lambda x, *times: x.numel() * _product(*times),
}


class _Watch(TorchFunctionMode):
    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _COUNTS:
            self.left -= _COUNTS[func](*args, **given)
            if self.left < 0:
                raise TooLargeError("it would be far larger than it may be")
        return func(*args, **given)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """What is built here may make so many numbers, temporary ones included.

    Raises:
        TooLargeError: instead of the call that would make more.
    """
    with _Watch(numbers):
        yield


@contextmanager
def room_for(tensors: Iterable[Tensor]) -> Iterator[None]:
    """What is built here is to hold these tensors; torch's own random numbers stay where they are.

    Raises:
        TooLargeError: it would be far larger than they are.
    """
    with seeded(0), at_most(SPARE * sum(t.numel() for t in tensors) + SPARE_LEAST):
        yield
