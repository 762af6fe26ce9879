"""Files that a user names as input: opened only where they are regular files, read and parsed within limits.

Opening a named pipe waits for ever, and a device has no end. Both are refused before they are opened, with an
`OSError` whose `strerror` says what they are, so that callers handle it as any file that cannot be read.
"""

from __future__ import annotations

import codecs
import errno
import json
import math
import os
import stat
import tomllib
from typing import IO, Any

from isthmus.messages import Message

MAX_TEXT_BYTES = 256 * 2**20  # of a list, a table, a recipe, a log
MAX_DEPTH = 64  # levels of lists and objects in parsed JSON or TOML
MAX_DIGITS = 400  # of a whole number in them

StrPath = str | os.PathLike[str]
_KINDS = (
    (stat.S_ISFIFO, Message("is a named pipe, not a file", id="data.named-pipe")),
    (stat.S_ISSOCK, Message("is a socket, not a file", id="data.socket")),
    (stat.S_ISCHR, Message("is a device, not a file", id="data.device")),
    (stat.S_ISBLK, Message("is a device, not a file", id="data.device")),
)
# A pipe that takes the file's place after the check must not be waited for; Windows has a text mode.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


class NotAFileError(OSError):
    """There is something of that name, but no regular file."""


def special_kind(path: StrPath) -> str | None:
    """What a pipe, socket or device is, for example "is a named pipe, not a file"; None for all else.

    Links are followed. Nothing is opened.
    """
    if (mode := _mode(path)) is None:
        return None
    return next((text for test, text in _KINDS if test(mode)), None)


def is_there(path: StrPath) -> bool:
    """Whether there is something of that name; False also for what cannot be a name."""
    return _mode(path) is not None


def is_folder(path: StrPath) -> bool:
    """Whether there is a folder of that name; False also for what cannot be a name."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: StrPath) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - also for names that are no path
    except (OSError, ValueError):
        return None


def check_file(path: StrPath) -> None:
    """Raises:
    OSError: there is no regular file of that name, or it cannot be reached; `strerror` says why.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116
    except ValueError as error:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, "no such file", os.fspath(path)) from error
    _check_mode(mode, path)


def open_input(path: StrPath) -> IO[bytes]:
    """A regular file, opened for reading.

    Raises:
        OSError: as `check_file`, or it may not be read.
    """
    check_file(path)
    descriptor = os.open(path, _FLAGS)
    try:
        _check_mode(os.fstat(descriptor).st_mode, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_input(path: StrPath, *, limit: int = MAX_TEXT_BYTES) -> bytes:
    """All bytes of a regular file of at most `limit`.

    Raises:
        OSError: as `open_input`, or it is larger.
    """
    with open_input(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit >> 20} MiB", os.fspath(path))
    return content


def read_text(path: StrPath, *, limit: int = MAX_TEXT_BYTES) -> str:
    """The text of a file in UTF-8, or in UTF-16 with a byte order mark; its line ends stay as they are.

    Raises:
        OSError: as `read_input`.
        UnicodeDecodeError: neither (a ValueError).
    """
    content = read_input(path, limit=limit)
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_wide else "utf-8-sig")


def parse_json(text: str | bytes, *, finite: bool = True) -> Any:
    """A JSON value, of limited depth and with numbers of limited length.

    Args:
        finite: refuse NaN, infinities and numbers too large for a float, such as 1e400.

    Raises:
        ValueError: anything else; the only error, whatever the text.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels deep") from None
    check_value(value, finite=finite)
    return value


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document, as `parse_json`.

    Raises:
        ValueError: not TOML, too deep, or with a number that is too long or not finite.
    """
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"more than {MAX_DEPTH} levels deep") from None
    check_value(value)
    return value


def check_value(value: Any, *, finite: bool = True) -> None:
    """Check a value that was parsed: its depth, the length of its numbers and, with `finite`, their size.

    Raises:
        ValueError: says what is wrong.
    """
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} levels deep")
        inner: list[Any] = []
        for entry in level:
            if isinstance(entry, dict):
                inner += entry.values()
            elif isinstance(entry, list):
                inner += entry
            elif isinstance(entry, float):
                if finite and not math.isfinite(entry):
                    raise ValueError("a number that is not finite")
            elif isinstance(entry, int) and entry.bit_length() > MAX_DIGITS * 10 // 3:
                raise ValueError(f"a number of more than {MAX_DIGITS} digits")
        level = inner


def _check_mode(mode: int, path: StrPath) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", os.fspath(path))
    what = next((text for test, text in _KINDS if test(mode)), "is not a regular file")
    raise NotAFileError(errno.EINVAL, what, os.fspath(path))
