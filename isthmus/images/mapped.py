"""Pixels on disk that are used like pixels in memory: buffers in a file, whose pages are released."""

from __future__ import annotations

import mmap
import tempfile
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.errors import OutputError
from isthmus.images.cache import cache_folder, memory_bytes
from isthmus.images.store import Pixels, Ragged

BYTES_BETWEEN = 2**26  # read from a map before its pages are released
READ_AROUND = 2**16  # what Linux maps around one requested page


def room(shape: tuple[int, ...], dtype: npt.DTypeLike, *, above: int | None = None) -> Pixels:
    """An array to be filled: in memory, or mapped to an unnamed file in the cache folder if it is large.

    Args:
        above: bytes above which it lies in a file; default a quarter of the memory.

    Raises:
        OutputError: the cache folder cannot hold it.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= (memory_bytes() // 4 if above is None else above):
        return np.empty(shape, dtype=dtype)
    folder = Path(cache_folder(), "buffers")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # An unnamed file is removed when nothing maps it any more, however the process ends.
        with tempfile.TemporaryFile(dir=folder) as stream:
            stream.truncate(size)
            return np.memmap(stream, dtype=dtype, mode="r+", shape=shape)
    except OSError as error:
        raise OutputError(
            "{folder} has no room for {gib:.1f} GiB of pixels ({reason})",
            id="output.cache-full",
            hint="set ISTHMUS_CACHE to a folder on a larger disk",
            folder=folder,
            gib=size / 2**30,
            reason=error.strerror,
        ) from error


def let_go(pixels: Pixels) -> None:
    """Release the pages of a map that were read so far from this process's memory.

    They stay in the system's cache while there is room, so reading them again is cheap, but they no longer
    count as memory of the process. Other arrays are left alone; on Windows nothing happens.
    """
    mapped = getattr(pixels, "_mmap", None)
    shared = getattr(pixels, "mode", None) in ("r", "r+", "w+")  # a private map would lose what was written
    if shared and isinstance(mapped, mmap.mmap) and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)


class Meter:
    """Counts bytes read from a set, and releases its pages regularly."""

    def __init__(self, pixels: Pixels | Ragged) -> None:
        flat = pixels.flat if isinstance(pixels, Ragged) else pixels
        self.pixels = flat if isinstance(flat, np.memmap) else None
        self.read = 0

    def add(self, count: int, size: int) -> None:
        """`count` images, together of `size` bytes, have been read."""
        if self.pixels is None:
            return
        self.read += size + count * READ_AROUND
        if self.read >= BYTES_BETWEEN:
            let_go(self.pixels)
            self.read = 0
