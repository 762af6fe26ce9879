"""Where cached files lie, and how much memory this machine has."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$ISTHMUS_CACHE`, or the platform's cache folder for isthmus; it need not exist yet."""
    chosen = os.environ.get("ISTHMUS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("isthmus"))


def memory_bytes() -> int:
    """Physical memory in bytes; 8 GiB where the platform does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30
