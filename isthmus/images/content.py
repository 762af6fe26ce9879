"""Bytes and open files as the content of an image file."""

from __future__ import annotations

from typing import Any

from isthmus.errors import DataError
from isthmus.images.opening import Content


def is_encoded(value: object) -> bool:
    """Whether `value` is the content of an image file: bytes, or a file open for reading."""
    return isinstance(value, (bytes, bytearray, memoryview)) or is_open(value)


def is_open(value: object) -> bool:
    """Whether `value` is a file open for reading."""
    return callable(getattr(value, "read", None))


def content_of(value: Any) -> Content:
    """The bytes, or the unread rest of an open file, whose position is restored if possible.

    Raises:
        DataError: the file is open as text, or cannot be read.
    """
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Content(bytes(value), "image bytes")
    name = getattr(value, "name", None)
    name = name if isinstance(name, str) else "image file"
    try:
        start = value.tell() if _is_seekable(value) else None
        data = value.read()
        if start is not None:
            value.seek(start)  # the same open file may be passed again
    except (OSError, ValueError) as error:
        raise DataError(
            "{name}: cannot be read ({reason})", id="data.object-unreadable", name=name, reason=error
        ) from None
    if not isinstance(data, bytes):
        raise DataError(
            "{name}: open as text; an image is read from a binary file",
            id="data.text-file-object",
            hint="open(path, 'rb')",
            name=name,
        )
    return Content(data, name)


def _is_seekable(stream: Any) -> bool:
    seekable = getattr(stream, "seekable", None)
    return bool(callable(seekable) and seekable())


def hold_content(image: Any) -> Any:
    """An open file as its bytes, so that it can be read twice; anything else as it is."""
    return content_of(image).data if is_open(image) else image
