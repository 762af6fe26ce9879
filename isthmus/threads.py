"""Threads of the whole package: how many there are, and how torch, BLAS and worker threads share them.

    with threads.limited():                               # torch has `count()` threads, which do not spin
        ...
    for result in threads.map_ordered(work, files): ...   # each worker has one

OpenMP's and OpenBLAS's threads wait for each other actively at the end of every operator. On a machine whose
cores are shared with other processes a thread then waits for one that is not running, and an operator takes
ten times as long. So threads that share the operators of one image or batch wait passively, and files have a
worker thread each, with operators of one thread. Why tiles and batches have no workers:
docs/research/experiments.md.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from isthmus.errors import UsageError
from isthmus.machine import usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 1024
LINGER_SECONDS = 1.0


class _InWorker(threading.local):
    active = False


_in_worker = _InWorker()


# ---------------------------------------------------------------- how many


def count() -> int:
    """Threads that the calling thread may use, at least 1: all of them, or 1 in a worker of `map_ordered`.

    `ISTHMUS_THREADS`, else `OMP_NUM_THREADS`, else the cores that the process may use; never by load, so that
    equal settings give equal bits. Where `ISTHMUS_THREADS` is not set, a smaller number that the calling
    program gave to `torch.set_num_threads` holds.

    Raises:
        UsageError: `ISTHMUS_THREADS` is not a whole number from 1 to 1024.
    """
    if _in_worker.active:
        return 1
    own = os.environ.get("ISTHMUS_THREADS", "").strip()
    if own:
        # ASCII digits only: int() also takes signs, underscores and the digits of every script.
        if not re.fullmatch("[0-9]{1,4}", own) or not 1 <= int(own) <= MAX_THREADS:
            raise UsageError(
                "ISTHMUS_THREADS={value} is not a number of threads from 1 to {most}",
                id="threads.number",
                value=own,
                most=MAX_THREADS,
            )
        return int(own)
    openmp = re.match(r"\s*([0-9]{1,6})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    number = int(openmp[1]) if openmp and int(openmp[1]) >= 1 else usable_cores()
    torch = sys.modules.get("torch")
    # A module that is being imported by another thread lacks its functions yet.
    chosen = getattr(torch, "get_num_threads", None)
    return number if chosen is None else min(number, int(chosen()))


def prepare_process(*, training: bool = False) -> None:
    """Set the environment variables that the libraries read when they are loaded; before torch and NumPy.

    For a process that belongs to the package alone. A program that imported torch earlier is unaffected:
    there `limited` has the same effect within its block.

    Args:
        training: many small operators follow each other, so that a longer active wait pays.

    Raises:
        UsageError: as `count`.
    """
    if "torch" in sys.modules or "numpy" in sys.modules:
        return
    os.environ["OMP_NUM_THREADS"] = str(count())
    if "OMP_WAIT_POLICY" not in os.environ:
        # Turns of the waiting loop; the library's own is 300,000. A training of 60 steps took 5.4 s with
        # 100 turns and 4.3 s with 10,000 on an idle machine. Denoising a photo took 1.25 s with either there,
        # and beside two busy processes 2.0 to 2.7 s with 100 turns and 10 s with 10,000.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000" if training else "100")
        os.environ.setdefault("KMP_BLOCKTIME", "0")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # 2⁴ cycles, the least that it takes


# ---------------------------------------------------------------- one operator on several threads


@contextmanager
def limited(number: int | None = None) -> Iterator[int]:
    """Within the block torch's operators in this thread use `number` threads (by default `count()`), which
    wait passively for each other. Afterwards everything is as the caller had set it.

    Yields:
        The number. In a worker of `map_ordered` it is 1, whatever was asked for.
    """
    number = count() if number is None or _in_worker.active else number
    if _in_worker.active:
        yield number
        return
    with _operators_with(number), _passive_waiting(number):
        yield number


@contextmanager
def _operators_with(number: int) -> Iterator[None]:
    """Within the block torch's operators in this thread use `number` threads."""
    import torch

    before = torch.get_num_threads()
    if before == number:
        try:
            yield
        finally:
            if torch.get_num_threads() != before:  # numba, which UMAP uses, sets OpenMP's number
                torch.set_num_threads(before)
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
            openmp.omp_set_num_threads(before)
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
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
def _passive_waiting(working: int) -> Iterator[None]:
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


# ---------------------------------------------------------------- BLAS


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


# ---------------------------------------------------------------- workers


def map_ordered(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int | None = None,
    ahead: int = 0,
) -> Generator[Result, None, None]:
    """`work(item)` of every item, in order, with one worker thread per core and operators of one thread.

    What `work` gives must not depend on which items are in work at the same time. It runs with the caller's
    gradient mode, denormal mode and context variables. A single item is worked on in the calling thread with
    operators of `count()` threads; so are all where there is one worker.

    Args:
        workers: so many items are in work at once; by default `count()`. Give fewer where an item takes much
            memory.
        ahead: so many results more may wait to be taken.

    Raises:
        Whatever `work` or `items` raise: the items before it have been yielded, the rest is given up.
    """
    most = count()
    number = most if workers is None or _in_worker.active else max(1, workers)
    rest = iter(items)
    first = list(islice(rest, 2))
    if number == 1 or len(first) < 2:
        yield from _mapped_here(work, chain(first, rest), most)
        return
    yield from _mapped(work, chain(first, rest), number, number + ahead)


def overlapped(
    work: Callable[[Item], Result], items: Iterable[Item], *, waiting: int = 1
) -> Generator[tuple[Item, Result], None, None]:
    """Every item with its `work(item)`, in order, done in one other thread while the caller makes or uses
    items. Where there is one thread, it does both in turn.

    Args:
        waiting: at most so many items wait for their work or for the caller.
    """

    def pair(item: Item) -> tuple[Item, Result]:
        return item, work(item)

    if count() == 1:
        yield from map(pair, items)
    else:
        yield from _mapped(pair, iter(items), 1, waiting + 1)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _mapped_here(work: Callable[[Item], Result], items: Iterator[Item], number: int) -> Iterator[Result]:
    if "torch" not in sys.modules:
        yield from map(work, items)
        return
    with _passive_waiting(number):
        for item in items:
            with _operators_with(number):  # not while the caller goes on in this thread
                result = work(item)
            yield result


def _mapped(
    work: Callable[[Item], Result], items: Iterator[Item], workers: int, window: int
) -> Iterator[Result]:
    pool = ThreadPoolExecutor(workers, "isthmus", initializer=_begin_worker)
    waiting: deque[Future[Result]] = deque()
    run = _as_caller(work)
    with one_blas_thread:
        try:
            for item in items:
                waiting.append(pool.submit(contextvars.copy_context().run, run, item))
                if len(waiting) >= window:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Also after an error, Ctrl-C, or where the rest is not wanted: nothing runs on afterwards.
            pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    _in_worker.active = True


def _as_caller(work: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """`work` with operators of one thread and in the modes of this thread, which torch keeps per thread."""
    torch = sys.modules.get("torch")
    if torch is None:
        return work
    grad = torch.is_grad_enabled()
    inference = torch.is_inference_mode_enabled()
    flushed = sys.float_info.min / 2 == 0.0

    def run(item: Item) -> Result:
        with _operators_with(1), torch.inference_mode(inference), torch.set_grad_enabled(grad):
            if flushed != (sys.float_info.min / 2 == 0.0):
                torch.set_flush_denormal(flushed)
            return work(item)

    return run
