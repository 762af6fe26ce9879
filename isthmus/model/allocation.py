"""Memory: networks built to hold stored weights within a limit, and the estimated memory of one pass.

Networks are built without random first values. The meta device would do that, but the first operator that
runs on it imports torch's compiler, which takes longer than many commands. The memory of a pass is checked
beforehand, because the system kills a process that takes too much memory without a message.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import DataError
from isthmus.images.cache import memory_bytes
from isthmus.model import axes
from isthmus.model.geometry import Geometry
from isthmus.model.seeded import Interception, seeded

FREE = 2**22  # smaller passes are not checked
BACKWARD = 4  # memory of a training step, relative to a forward pass


def check_memory(
    backbone: axes.Backbone,
    geometry: Geometry,
    shape: tuple[int, ...],
    *,
    backward: bool = False,
) -> None:
    """Refuse a pass over images `shape (N, C, H, W)` that this machine's memory cannot hold.

    Raises:
        DataError: it takes more than all of it.
    """
    count, channels, height, width = shape
    pixels = count * height * width
    if pixels <= FREE:
        return
    needed = pixels * backbone.bytes_per_pixel(geometry, channels) * (BACKWARD if backward else 1)
    has = memory_bytes()
    if needed > has:
        what = "an image" if count == 1 else f"{count} images"
        raise DataError(
            "{what} of {height}×{width} pixels at a time would take about {needed_gib:,.0f} GiB "
            "with this model, and this machine has {has_gib:,.0f}: give smaller pieces",
            id="model.memory",
            what=what,
            height=height,
            width=width,
            needed_gib=needed / 2**30,
            has_gib=has / 2**30,
        )


def weights_bytes(parameters: int, optimiser: axes.Optimiser) -> int:
    """Memory that training needs for weights, their gradients, moments, average and best copy."""
    return 4 * parameters * (3 + optimiser.moments_per_weight + bool(optimiser.ema))


SPARE = 4  # numbers created while a network is built, for each stored one
SPARE_LEAST = 10_000_000  # which a small network may create in any case


class TooLargeError(ValueError):
    """A network needs more numbers than it may allocate."""


def _product(*size: Any, **options: Any) -> int:
    sides = options.get("size", size)
    return math.prod(sides[0] if sides and isinstance(sides[0], Sequence) else sides)


# The number of values that a call creates, for calls whose arguments determine it.
_COUNTS: dict[Callable[..., Any], Callable[..., int]] = {
    **dict.fromkeys((torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn), _product),
    torch.full: lambda size, *_, **__: math.prod(size),
    torch.eye: lambda n, m=None, **_: n * (n if m is None else m),
    torch.arange: lambda *ends, **_: len(range(*map(int, ends))),
    torch.linspace: lambda start, end, steps, **_: steps,  # noqa: ARG005
    Tensor.repeat: lambda x, *times: x.numel() * _product(*times),
}
# Calls that draw random first values, in place or as a new tensor. Calls inside of `nn.init` go unseen.
_FILLS = frozenset(
    (
        Tensor.uniform_,
        Tensor.normal_,
        nn.init.uniform_,
        nn.init.normal_,
        nn.init.kaiming_uniform_,
        nn.init.kaiming_normal_,
    )
)
_DRAWS = frozenset((torch.rand, torch.randn))


class _Watch(Interception):
    def __init__(self, most: int, *, initialise: bool = True) -> None:
        super().__init__()
        self.left = most
        self.initialise = initialise

    def call(self, function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        if function in _COUNTS:
            self.left -= _COUNTS[function](*args, **options)
            if self.left < 0:
                raise TooLargeError("it would be far larger than it may be")
        if not self.initialise:
            if function in _FILLS:
                return args[0] if args else options["tensor"]
            if function in _DRAWS:
                function = torch.zeros  # pages that nobody writes cost nothing
        return function(*args, **options)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Within the block at most this many numbers may be created, temporary ones included.

    Raises:
        TooLargeError: instead of the call that would make more.
    """
    with _Watch(numbers):
        yield


@contextmanager
def room_for(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Within the block a network is built to hold these tensors: only its random first values are omitted.

    Every parameter must be replaced afterwards. torch's own generator is not advanced.

    Raises:
        TooLargeError: it would be far larger than these tensors.
    """
    numbers = SPARE * sum(t.numel() for t in tensors) + SPARE_LEAST
    with seeded(0), _Watch(numbers, initialise=False):
        yield
