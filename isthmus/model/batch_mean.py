"""Means over a whole batch, also when several processes hold a part of it each.

A term that depends on a mean over the batch (how often a unit is active, how many gates are open) means the
batch of the step. The model knows nothing of processes: who runs it in several says here how to join means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_joined: ContextVar[Callable[[Tensor], Tensor] | None] = ContextVar("joined", default=None)


def over_batch(mean: Tensor) -> Tensor:
    """A mean over the images at hand → over those of all processes, with gradients; itself where one runs."""
    join = _joined.get()
    return mean if join is None else join(mean)


def variance_over_batch(rows: Tensor) -> Tensor | None:
    """`(n, C)` → `(C,)`: the variance of each column over all processes, with gradients; None of one row."""
    join = _joined.get()
    if join is not None:
        return join((rows - join(rows.mean(0))).square().mean(0))
    return rows.var(0, correction=0) if len(rows) > 1 else None


@contextmanager
def means_joined_by(join: Callable[[Tensor], Tensor] | None) -> Iterator[None]:
    """Within: `over_batch` asks `join`."""
    token = _joined.set(join)
    try:
        yield
    finally:
        _joined.reset(token)
