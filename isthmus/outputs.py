"""Where results may be written: one set of rules for every use, checked before the work and when writing.

- An existing file is replaced with `force` only. A link is followed: the file that it leads to is replaced; a
  dangling or circular link is refused.
- A folder, a socket or a block device is refused. A character device or FIFO gets the bytes (with `force`),
  and is never replaced.
- `""` and `-` are refused.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path

from isthmus.errors import ExistsError, OutputError, UsageError

Name = str | os.PathLike[str]

MAX_NAME_BYTES = 255  # of one part of a path, where the file system does not give its own limit
_UNWRITABLE_MEDIUM = frozenset(
    number
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO")
    if (number := getattr(errno, name, None)) is not None
)
_NO_PERMISSION = (errno.EACCES, errno.EPERM)


def check_output(path: Name, *, force: bool, stream: bool = True) -> Path:
    """Check that one file can be written to `path`, without writing anything.

    Args:
        path: where the file will be; missing folders are made later.
        force: an existing file may be replaced.
        stream: the file is written once from beginning to end, so that a character device or FIFO will do.

    Returns:
        The file to write: `path`, or where it leads if it is a link.

    Raises:
        UsageError: `path` is empty or `-`.
        ExistsError: a file exists there and `force` is off.
        OutputError: `path` is a folder, a dangling or circular link or a special file, its name is too long,
            a part of it is no folder, or the permission to write there is missing.
    """
    target = resolve_output(path)
    mode = _mode(target)
    if mode is not None:
        if stat.S_ISDIR(mode):
            raise OutputError("cannot write {path}: it is a folder", id="output.is-folder", path=path)
        if not force:
            raise ExistsError(path)
        if is_stream(mode):
            if not stream:
                raise OutputError(
                    "cannot write {path}: it is a device or a pipe, not a file",
                    id="output.is-stream",
                    path=path,
                )
            if not os.access(target, os.W_OK):
                raise OutputError("no permission to write {path}", id="output.no-permission", path=path)
            return target
        if not stat.S_ISREG(mode):
            raise OutputError(
                "cannot write {path}: it is a socket or a block device", id="output.special-file", path=path
            )
    _check_ancestors(target.parent, path)
    _check_name(target, path)
    return target


def check_outputs(*paths: Name | None, force: bool) -> None:
    """`check_output` of each path that is given.

    Raises:
        UsageError, ExistsError, OutputError: as `check_output`.
    """
    for path in paths:
        if path is not None:
            check_output(path, force=force)


def check_folder(path: Name) -> Path:
    """Check that files can be written into the folder `path`, which need not exist yet.

    Raises:
        UsageError: `path` is empty or `-`.
        OutputError: `path` exists and is no folder, or the permission to write there is missing.
    """
    folder = resolve_output(path)
    mode = _mode(folder)
    if mode is not None and not stat.S_ISDIR(mode):
        raise OutputError("cannot write into {path}: it is not a folder", id="output.not-a-folder", path=path)
    _check_ancestors(folder, path)
    _check_name(folder, path)
    return folder


def resolve_output(path: Name) -> Path:
    """The place that `path` leads to: itself, or where the links end that its last part begins.

    Raises:
        UsageError: `path` is empty or `-`.
        OutputError: a dangling or circular link, or a name that cannot be a file's.
    """
    text = os.fspath(path)
    if not text:
        raise UsageError("the name of the output is empty", id="output.empty-name")
    if path == "-":  # as a Path it is a file: that is how ./- arrives here
        raise UsageError(
            "this result cannot be written to standard output",
            id="output.standard-output",
            hint="name a file or a folder; a file called - is written as ./-",
        )
    target = native_path(text)
    try:
        if not target.is_symlink():
            return target
        return Path(os.path.realpath(target, strict=True))
    except FileNotFoundError:
        raise OutputError(
            "cannot write {path}: it is a link to a file that does not exist",
            id="output.dangling-link",
            path=path,
        ) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ELOOP:
            raise OutputError(
                "cannot write {path}: it is a link that leads back to itself",
                id="output.circular-link",
                path=path,
            ) from None
        raise explain_os_error(error, path) from error


def native_path(path: Name) -> Path:
    """A path whose text can be passed to the system, also where file names are not UTF-8 (`LC_ALL=C`).

    Names that come from elsewhere (a list, an archive, the names shown to a user) hold characters, while the
    system wants the bytes of their UTF-8 form; Python passes bytes through as surrogates.

    Raises:
        OutputError: it holds surrogates that stand for no byte, or NUL.
    """
    text = os.fspath(path)
    try:
        if sys.getfilesystemencoding().lower() not in ("utf-8", "utf8"):
            text = os.fsdecode(text.encode("utf-8", "surrogateescape"))
        os.fsencode(text)
    except UnicodeError:
        raise OutputError(
            "cannot write {text!r}: it is not a valid file name on this system",
            id="output.impossible-name-here",
            text=text,
        ) from None
    if "\0" in text:
        raise OutputError(
            "cannot write {text!r}: it is not a valid file name", id="output.impossible-name", text=text
        )
    return Path(text)


def shorten_name(stem: str, suffix: str) -> str:
    """`stem` + `suffix`; if that is too long for a file's name, the stem is cut and marked with its hash."""
    full_name = (stem + suffix).encode("utf-8", "surrogateescape")
    if len(full_name) <= MAX_NAME_BYTES:
        return stem + suffix
    encoded = stem.encode("utf-8", "surrogateescape")
    mark = "~" + hashlib.blake2b(encoded, digest_size=4).hexdigest()
    room = MAX_NAME_BYTES - len(mark) - len(suffix.encode("utf-8", "surrogateescape"))
    cut = encoded[:room]
    if encoded[room : room + 1] and (encoded[room] & 0xC0) == 0x80:
        # Within a character: go back to its first byte, but not far where the bytes are not UTF-8.
        start = max((i for i in range(max(0, room - 4), room) if (cut[i] & 0xC0) != 0x80), default=room)
        cut = cut[:start]
    return cut.decode("utf-8", "surrogateescape") + mark + suffix


def is_stream(mode: int) -> bool:
    """Whether a file of this `st_mode` takes bytes one after another and cannot be replaced by a file."""
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def path_exists(path: Name) -> bool:
    """Whether something is at `path`; False also where that cannot be found out."""
    try:
        return native_path(path).exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Name) -> bool:
    """Whether `path` is a folder; False also where that cannot be found out."""
    try:
        return native_path(path).is_dir()
    except (OSError, ValueError):
        return False


def affects_every_output(error: OutputError) -> bool:
    """Whether further files would fail in the same way: a full, read-only or broken disk."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _UNWRITABLE_MEDIUM


def explain_os_error(error: Exception, path: Name) -> OutputError:
    """The error for a file that could not be written to `path`, from the system's error."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC:
        return OutputError(
            "no space left to write {path}; a file that was there before is unchanged",
            id="output.disk-full",
            path=path,
        )
    if number == errno.EROFS:
        return OutputError(
            "cannot write {path}: the file system is read-only", id="output.read-only", path=path
        )
    if number in _NO_PERMISSION:
        return OutputError("no permission to write {path}", id="output.no-permission", path=path)
    if number == errno.ENXIO:
        return OutputError(
            "cannot write {path}: nothing reads this pipe", id="output.pipe-without-reader", path=path
        )
    if number == errno.ENAMETOOLONG:
        return OutputError("cannot write {path}: its name is too long", id="output.name-too-long", path=path)
    if isinstance(error, (NotADirectoryError, FileExistsError, IsADirectoryError)):
        return OutputError(
            "cannot write {path}: it is a folder, or a part of this path is a file",
            id="output.path-through-file",
            path=path,
        )
    return OutputError(
        "cannot write {path}: {reason}",
        id="output.problem",
        path=path,
        reason=getattr(error, "strerror", None) or error,
    )


def _mode(target: Path) -> int | None:
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise explain_os_error(error, target) from error


def _check_ancestors(folder: Path, path: Name) -> None:
    """The nearest folder that exists must be one in which something can be made."""
    place = folder
    try:
        while True:
            mode = _mode(place)
            if mode is not None:
                break
            if place.is_symlink():
                raise OutputError(
                    "cannot write {path}: {place} is a link to a folder that does not exist",
                    id="output.parent-dangling-link",
                    path=path,
                    place=place,
                )
            _check_name(place, path)
            if place == place.parent:
                raise OutputError(
                    "cannot write {path}: the current folder does not exist any more",
                    id="output.no-current-folder",
                    path=path,
                )
            place = place.parent
    except OutputError:
        raise
    except OSError as error:
        raise explain_os_error(error, path) from error
    if not stat.S_ISDIR(mode):
        raise OutputError(
            "cannot write {path}: {place} is not a folder",
            id="output.parent-not-a-folder",
            path=path,
            place=place,
        )
    if not os.access(place, os.W_OK | os.X_OK):
        refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(place))
        raise explain_os_error(refused, path) from refused


def _check_name(target: Path, path: Name) -> None:
    if os.name == "posix" and len(os.fsencode(target.name)) > MAX_NAME_BYTES:
        error = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), os.fspath(target))
        raise explain_os_error(error, path) from error
