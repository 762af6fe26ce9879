"""Threads of one operator: their number in the calling thread, and how they wait for each other."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

LINGER_SECONDS = 1.0


@contextmanager
def operator_threads(number: int) -> Iterator[None]:
    """Within the block torch's operators in this thread use `number` threads."""
    import torch

    threads = torch.get_num_threads()
    if threads == number:
        try:
            yield
        finally:
            if torch.get_num_threads() != threads:  # numba, which UMAP uses, sets OpenMP's number
                torch.set_num_threads(threads)
        return
    openmp, mkl = _openmp(), _mkl()
    if openmp is not None:
        # Of this thread alone: `torch.set_num_threads` would also hold for every thread that is new to torch.
        openmp.omp_set_num_threads(number)
    if torch.get_num_threads() != number:
        torch.set_num_threads(number)
    mkl_before = None if mkl is None else mkl.MKL_Set_Num_Threads_Local(number)
    try:
        yield
    finally:
        if openmp is not None:
            openmp.omp_set_num_threads(threads)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if mkl is not None:
            mkl.MKL_Set_Num_Threads_Local(mkl_before)


class _SleepingTeam:
    """While it stands, threads of GNU's OpenMP library wait a few µs actively and then sleep.

    The library reads its spin limit once, when it is loaded. But it also shortens the wait to 100 turns
    wherever it has more threads than the process has cores (libgomp, config/linux/wait.h, `do_spin`). So a
    team that makes them one more is kept, asleep, as long as any block needs it.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.blocks = 0
        self.stands = False

    def begin(self, openmp: ctypes.CDLL, working: int) -> None:
        """Open a block with `working` threads; the team stands when this returns."""
        with self.changed:
            self.blocks += 1
            if not self.stands:
                size = max(2, len(os.sched_getaffinity(0)) + 2 - working)
                keep = partial(self._keep, openmp, size)
                with suppress(RuntimeError):  # the system grants no more threads: then they spin
                    threading.Thread(target=keep, name="isthmus-openmp", daemon=True).start()
                    self.changed.wait_for(lambda: self.stands)

    def stop(self) -> None:
        """Close a block."""
        with self.changed:
            self.blocks -= 1
            self.changed.notify_all()

    def _keep(self, openmp: ctypes.CDLL, size: int) -> None:
        # The team has nothing to do: a function without argument serves for one whose argument is not read.
        work = ctypes.cast(openmp.omp_get_thread_num, ctypes.c_void_p)
        openmp.GOMP_parallel(work, None, ctypes.c_uint(size), ctypes.c_uint(0))
        with self.changed:
            self.stands = True
            self.changed.notify_all()
            while self.blocks:
                self.changed.wait_for(lambda: self.blocks == 0)
                # Calls often follow each other, and beginning a team takes a tenth of a millisecond.
                self.changed.wait_for(lambda: self.blocks > 0, LINGER_SECONDS)
            self.stands = False  # the team ends with this thread


_team = _SleepingTeam()


def _forget_team() -> None:
    global _team
    _team = _SleepingTeam()


if hasattr(os, "register_at_fork"):  # a child has none of its parent's other threads
    os.register_at_fork(after_in_child=_forget_team)


@contextmanager
def passive_waiting(working: int) -> Iterator[None]:
    """Within the block `working` OpenMP threads do not spin; blocks may overlap. With other libraries than
    GNU's, and where the environment sets a limit, nothing happens.
    """
    openmp = _openmp() if working > 1 and sys.platform == "linux" and not _has_own_spin_limit() else None
    if openmp is None or not hasattr(openmp, "GOMP_parallel"):
        yield
        return
    team = _team
    team.begin(openmp, working)
    try:
        yield
    finally:
        team.stop()


def _has_own_spin_limit() -> bool:
    return "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP library that torch uses, or None."""
    names = ("libgomp*.so*", "libiomp5.so", "libomp.so", "libomp.dylib", "libiomp5.dylib", "libiomp5md.dll")
    return _torch_library(names, "omp_set_num_threads")


@cache
def _mkl() -> ctypes.CDLL | None:
    """The library that holds torch's MKL, or None. The function's lower-case namesake is Fortran's."""
    return _torch_library(("libtorch_cpu.so", "torch_cpu.dll"), "MKL_Set_Num_Threads_Local")


def _torch_library(names: Iterable[str], function: str) -> ctypes.CDLL | None:
    """The first of these files in torch's folder that has the function; only one that is loaded already."""
    import torch

    folder = Path(torch.__file__).parent / "lib"
    loaded = getattr(os, "RTLD_NOLOAD", 0)
    for path in [path for name in names for path in sorted(folder.glob(name))]:
        try:
            library = ctypes.CDLL(str(path), mode=ctypes.DEFAULT_MODE | loaded)
        except OSError:
            continue
        if hasattr(library, function):
            return library
    return None
