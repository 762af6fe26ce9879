"""What libtiff, inside of Pillow, prints about a file: caught, so that it is said with the file's name.

libtiff writes to the descriptor of standard error, past Python. While it decodes, the descriptor leads to a
file; what others write meanwhile is passed on.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from isthmus.log import log_note

_STDERR = 2
_OWN = re.compile(
    rb"(?:tempfile\.tif|_?TIFF\w*|Fax\w*|CCITT\w*|LZW\w*|ZIP\w*|O?JPEG\w*|Predictor\w*|\w+Decode\w*): "
)
_WARNING = b": Warning, "
_lock = threading.Lock()


def load_tiff(image: Any) -> None:
    """Decode a TIFF that Pillow has opened; warnings are logged once.

    Raises:
        ValueError: libtiff found it damaged, also where Pillow would give what it has.
    """
    tile = getattr(image, "tile", None)
    if not tile or tile[0][0] != "libtiff":
        image.load()
        return
    name = str(getattr(getattr(image, "fp", None), "name", "") or "image")
    lines: list[bytes] = []
    try:
        with _caught(lines):
            image.load()
    finally:
        warned = [line.partition(_WARNING)[2] for line in lines if _WARNING in line]
        if warned:
            log_note("{name}: {text}", id="reading.libtiff", name=name, text=_text(warned[0]))
    errors = [line.partition(b": ")[2] for line in lines if _WARNING not in line]
    if errors:
        raise ValueError(_text(errors[0]))


@contextlib.contextmanager
def _caught(lines: list[bytes]) -> Iterator[None]:
    with _lock, contextlib.ExitStack() as stack:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # standard error is closed: nothing can be printed
            yield
            return
        stack.callback(os.close, saved)
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), _STDERR)
            try:
                yield
            finally:
                os.dup2(saved, _STDERR)
                held.seek(0)
                for line in held.read().splitlines(keepends=True):
                    if _OWN.match(line):
                        lines.append(line.strip())
                    else:
                        with contextlib.suppress(OSError):
                            os.write(_STDERR, line)


def _text(line: bytes) -> str:
    return " ".join(line.decode("utf-8", "replace").split())
