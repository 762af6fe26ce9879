"""OpenBLAS, which NumPy and SciPy use, with one thread for a while."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache
from typing import Any


class _OneBlasThread:
    """Within it OpenBLAS, which NumPy and SciPy use, has one thread; blocks may overlap in several threads.

    The number is the process's: the first block keeps what it was, the last one restores it. Products of the
    codec's contexts are too small to share, and OpenBLAS's threads wait actively on cores that torch needs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._before: list[int] = []

    def __enter__(self) -> None:
        with self._lock:
            if self._blocks == 0:
                self._before = [library.get_num_threads() for library in _openblas()]
                _set_blas_threads([1] * len(self._before))
            self._blocks += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if self._blocks == 0:
                _set_blas_threads(self._before)


one_blas_thread = _OneBlasThread()


def _set_blas_threads(numbers: Sequence[int]) -> None:
    for library, number in zip(_openblas(), numbers, strict=True):
        # From version 3.8 on threadpoolctl ignores all threads but the first that set a number, until that
        # one says that it is done; here the last block may end in another thread than the first began in.
        release = getattr(library, "clear_controlling_thread", None)
        if release is not None:
            release(force=True)
        library.set_num_threads(number)
        if release is not None:
            release(force=True)


@cache
def _openblas() -> Sequence[Any]:
    from threadpoolctl import ThreadpoolController

    # It looks through all libraries of the process, which takes 1 to 30 ms.
    return tuple(ThreadpoolController().select(internal_api="openblas").lib_controllers)
