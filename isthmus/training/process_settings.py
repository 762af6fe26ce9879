"""How a process is set while it trains a network: threads, tiny numbers, and memory that steps give back."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from isthmus.threads import limited


@contextlib.contextmanager
def training_settings() -> Iterator[None]:
    """Inside the block: threads as configured (`isthmus.threads`), denormal numbers treated as zero, freed
    memory kept.
    """
    with limited(), flushed_denormals(), kept_memory():
        yield


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Inside the block numbers below 2⁻¹²⁶ count as zero; afterwards the caller's arithmetic is as it was.

    Most CPUs are far slower with such numbers, which fill dying units and old moments of the optimiser. The
    setting also affects NumPy and Python, so it is restored at the end.
    """
    were_flushed = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(were_flushed)


_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_GIVE_BACK = {_TRIM_THRESHOLD: 128 * 1024, _MMAP_MAX: 65536}
_KEEP_FREED = {_TRIM_THRESHOLD: 2**31 - 1, _MMAP_MAX: 0}


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Inside the block freed memory is kept for the next step; after it what is free goes back.

    Otherwise large blocks are returned to the system after every step, which must find and clear each page
    again: this took a third of a step's time at 28×28 with 32 channels (glibc, mallopt(3)). Does nothing
    under another C library, or on a GPU's memory, which has an allocator of its own.
    """
    library = _glibc()
    if library is None:
        yield
        return
    _set(library, _KEEP_FREED)
    try:
        yield
    finally:
        _set(library, _GIVE_BACK)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt") else None


def _set(library: ctypes.CDLL, values: dict[int, int]) -> None:
    for parameter, value in values.items():
        library.mallopt(parameter, value)
