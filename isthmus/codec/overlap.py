"""Entropy coding beside the network: one thread codes symbols while torch paints or reads the next pixels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def overlapped(
    work: Callable[[Item], Result], items: Iterable[Item], *, most: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Every item with its `work`, in order, done in another thread while others are made or used.

    Args:
        most: items that may wait for their turn. Where torch has one thread, so has this, and nothing waits.
    """
    if torch.get_num_threads() == 1:
        for item in items:
            yield item, work(item)
        return
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > most:
                begun, result = waiting.popleft()
                yield begun, result.result()
        for begun, result in waiting:
            yield begun, result.result()


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last as long as it comes."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
