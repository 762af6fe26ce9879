"""NumPy's matrix products on one thread, while symbols are coded.

Those of a context are too small to share out: a second thread of OpenBLAS gains a tenth, and then waits
actively on the core that torch is to paint the next pixels with, which takes half as long again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

_turn = Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it OpenBLAS has one thread. The number is the process's, so threads take turns: of two that
    overlap, the second would remember the first one's limit as what to give back.
    """
    with _turn, _openblas().limit(limits=1):
        yield


@cache
def _openblas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")
