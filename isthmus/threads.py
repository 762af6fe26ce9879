"""Threads of the whole package: how many there are, and how torch, BLAS and worker threads share them.

    with threads.limited():                               # torch has `count()` threads, which do not spin
        ...
    for result in threads.map_ordered(work, files): ...   # each worker has one

OpenMP's and OpenBLAS's threads wait for each other actively at the end of every operator. On a machine whose
cores are shared with other processes a thread then waits for one that is not running, and an operator takes
ten times as long. So threads that share the operators of one image or batch wait passively, and files have a
worker thread each, with operators of one thread. Why tiles and batches have no workers:
docs/research/experiments.md.

OpenBLAS, which NumPy and SciPy use, with one thread for a while.
"""

from __future__ import annotations

import contextvars
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import chain, islice
from typing import Any, TypeVar

from isthmus.errors import UsageError
from isthmus.machine import usable_cores
from isthmus.openmp import operator_threads, passive_waiting


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


Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_THREADS = 1024


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
    setting = os.environ.get("ISTHMUS_THREADS", "").strip()
    if setting:
        # ASCII digits only: int() also takes signs, underscores and the digits of every script.
        if not re.fullmatch("[0-9]{1,4}", setting) or not 1 <= int(setting) <= MAX_THREADS:
            raise UsageError(
                "ISTHMUS_THREADS={value} is not a number of threads from 1 to {most}",
                id="threads.number",
                value=setting,
                most=MAX_THREADS,
            )
        return int(setting)
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
        The number. In a worker of `map_ordered` it is always 1.
    """
    number = count() if number is None or _in_worker.active else number
    if _in_worker.active:
        yield number
        return
    with operator_threads(number), passive_waiting(number):
        yield number


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
        workers: the number of items that are processed at once; by default `count()`. Give fewer where an
            item takes much memory.
        ahead: this many more results may wait to be taken.

    Raises:
        Whatever `work` or `items` raise: the items before it have been yielded, the rest is given up.
    """
    most = count()
    number = most if workers is None or _in_worker.active else max(1, workers)
    remaining = iter(items)
    first = list(islice(remaining, 2))
    if number == 1 or len(first) < 2:
        yield from _mapped_here(work, chain(first, remaining), most)
        return
    yield from _mapped(work, chain(first, remaining), number, number + ahead)


def overlapped(
    work: Callable[[Item], Result], items: Iterable[Item], *, waiting: int = 1
) -> Generator[tuple[Item, Result], None, None]:
    """Every item with its `work(item)`, in order, done in one other thread while the caller makes or uses
    items. Where there is one thread, it does both in turn.

    Args:
        waiting: at most this many items wait for their work or for the caller.
    """

    def pair(item: Item) -> tuple[Item, Result]:
        return item, work(item)

    if count() == 1:
        yield from map(pair, items)
    else:
        yield from _mapped(pair, iter(items), 1, waiting + 1)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`; the last may be shorter."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some


def _mapped_here(work: Callable[[Item], Result], items: Iterator[Item], number: int) -> Iterator[Result]:
    if "torch" not in sys.modules:
        yield from map(work, items)
        return
    with passive_waiting(number):
        for item in items:
            with operator_threads(number):  # not while the caller continues in this thread
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
        with operator_threads(1), torch.inference_mode(inference), torch.set_grad_enabled(grad):
            if flushed != (sys.float_info.min / 2 == 0.0):
                torch.set_flush_denormal(flushed)
            return work(item)

    return run
