"""Where cached files lie, and how much memory this machine has."""

from __future__ import annotations

import os
from pathlib import Path

_CONTAINER_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # cgroups, second and first version


def cache_folder() -> Path:
    """`$ISTHMUS_CACHE`, or the platform's cache folder for isthmus; it need not exist yet."""
    chosen = os.environ.get("ISTHMUS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    # The folder that pooch.os_cache names, without loading what pooch downloads with.
    import platformdirs

    return Path(platformdirs.user_cache_dir("isthmus"))


def memory_bytes() -> int:
    """Memory this process may use, in bytes; 8 GiB where it is unknown."""
    return known_memory_bytes() or 8 << 30


def known_memory_bytes() -> int | None:
    """The machine's memory in bytes, or a container's lower limit; None where it is unknown."""
    if os.name == "nt":
        return _windows_memory()
    try:
        physical_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    limits = [_number(Path("/sys/fs/cgroup", name)) for name in _CONTAINER_LIMITS]
    return min([physical_bytes, *(limit for limit in limits if limit)])


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        # The layout of MEMORYSTATUSEX; only the physical total is read.
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            *(
                (name, ctypes.c_ulonglong)
                for name in ("free", "page", "page_free", "virtual", "virtual_free", "x")
            ),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - the attribute exists on Windows alone
    return int(status.total) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None
