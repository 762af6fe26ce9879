"""Tiny numbers (below 2⁻¹²⁶) count as zero while training runs: most CPUs take far longer over them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flush them inside the block; afterwards the caller's arithmetic is what it was.

    Dying units and old moments of the optimiser are full of them. The switch is the processor's and so holds
    for NumPy and Python too, which is why it is put back.
    """
    were_flushed = sys.float_info.min / 2 == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(were_flushed)
