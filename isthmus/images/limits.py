"""Pillow's two process-wide settings, its size limit and its warnings, changed only while they are needed."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

# Without any handler Python prints what Pillow logs about damaged files to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# What Pillow does not read of TIFF is read elsewhere (`tiff_bands`).
logging.getLogger("PIL.TiffImagePlugin").addFilter(lambda record: "More samples" not in record.msg)

_guard = threading.Lock()
_active: list[int] = []
_before: list[Any] = []


@contextmanager
def pillow_limits(max_pixels: int) -> Iterator[None]:
    """Within: Pillow accepts images of up to `max_pixels` and prints no warnings.

    Both are settings of the whole process, so the first to enter changes them and the last to leave puts them
    back; threads may nest and overlap.
    """
    with _guard:
        if not _active:
            quiet = warnings.catch_warnings()
            quiet.__enter__()
            warnings.simplefilter("ignore")
            _before[:] = [Image.MAX_IMAGE_PIXELS, quiet]
        _active.append(max_pixels)
        # Pillow refuses above twice this number.
        Image.MAX_IMAGE_PIXELS = (max(_active) + 1) // 2
    try:
        yield
    finally:
        with _guard:
            _active.remove(max_pixels)
            if not _active:
                Image.MAX_IMAGE_PIXELS = _before[0]
                _before[1].__exit__(None, None, None)
