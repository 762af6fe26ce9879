"""NumPy's matrix products on one thread, while symbols are coded.

Those of a context are too small to share out: a second thread of OpenBLAS gains a tenth, and then waits
actively on the core that torch is to paint the next pixels with, which takes half as long again.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """Within it OpenBLAS has one thread; where another thread is within, it stays as that one says."""
    limit: AbstractContextManager[Any] = _openblas().limit(limits=1)
    return limit


@cache
def _openblas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(internal_api="openblas")
