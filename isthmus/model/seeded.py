"""First weights from a separate generator, not from torch's global one, which threads share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_DRAWS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
        *(torch.bernoulli, torch.multinomial),
        *(Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_),
        *(
            function
            for name, function in vars(nn.init).items()
            if name.endswith("_")
            and inspect.isfunction(function)
            and "generator" in inspect.signature(function).parameters
        ),
    }
)


class Interception(TorchFunctionMode):
    """Within it this thread's calls of torch go through `call`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.call(func, args, dict(kwargs or {}))

    def call(self, function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        """The result of `function(*args, **given)`, or of another call in its place."""
        return function(*args, **options)


class _Seeded(Interception):
    """Passes `generator` to every call that draws random numbers without one."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def call(self, function: Callable[..., Any], args: Sequence[Any], options: dict[str, Any]) -> Any:
        if function in _DRAWS and options.get("generator") is None:
            options["generator"] = self.generator
        return function(*args, **options)


@contextmanager
def seeded(seed: int) -> Iterator[torch.Generator]:
    """Networks built within have the weights that `torch.manual_seed(seed)` would give them.

    Yields:
        The generator, for what is drawn afterwards.
    """
    generator = torch.Generator().manual_seed(seed)
    if torch.get_default_device().type == "meta":  # nothing is drawn there
        yield generator
        return
    with _Seeded(generator):
        yield generator


def dropout(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """`values` with a random `share` of them set to 0 and the rest scaled so that their mean stays."""
    keep = torch.empty_like(values).bernoulli_(1 - share, generator=generator)
    return values * keep.div_(1 - share)
