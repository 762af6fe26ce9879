"""Write a file so that nobody ever sees half of it: temporary name, fsync, rename.

Everything the project writes goes through here, so a crash, a full disk or SIGKILL leaves either the old
file or the new one. What SIGKILL also leaves, the temporary file, the next write to the same name removes
once it is an hour old.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from isthmus.errors import OutputError

STALE_SECONDS = 3600.0  # nobody is still writing a temporary file that has not grown for so long


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path`; on a clean exit it replaces `path` in one step.

    Args:
        path: where the finished file shall be. Its folder is made when missing.
        force: replace an existing file; otherwise raise before anything is written.

    Raises:
        OutputError: the file exists and `force` is off, the disk is full, or writing is not permitted.
    """
    target = Path(path)
    if not force and target.exists():
        raise OutputError(f"{target} exists; nothing was overwritten", hint="repeat the command with --force")
    temporary: str | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _usual_permissions(temporary)
        Path(temporary).replace(target)
        temporary = None
        _sync_folder(target.parent)
        _remove_stale(target)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = True) -> None:
    """`atomic_write` of bytes already in memory."""
    with atomic_write(path, force=force) as stream:
        stream.write(data)


def write_text(path: str | os.PathLike[str], text: str, *, force: bool = True) -> None:
    """`atomic_write` of UTF-8 text."""
    write_bytes(path, text.encode(), force=force)


def _usual_permissions(path: str) -> None:
    # mkstemp makes files private (0600); a user expects what open() would have given them.
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        Path(path).chmod(0o666 & ~mask)


def _sync_folder(folder: Path) -> None:
    # The rename itself lives in the folder; without this a power cut may forget it. Windows has no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stale(target: Path) -> None:
    for leftover in _stale(target.parent.resolve()).pop(target.name, ()):
        with contextlib.suppress(OSError):
            leftover.unlink()


@functools.lru_cache(maxsize=256)
def _stale(folder: Path) -> dict[str, list[Path]]:
    # Listed once per process and folder: a job that writes N files must not list N² names.
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}\.part", entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
                found.setdefault(match[1], []).append(Path(entry.path))
    return found


def _explain(error: OSError, target: Path) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(f"no space left while writing {target}; what stood there before is untouched")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(f"no permission to write {target}")
    if isinstance(error, (NotADirectoryError, FileExistsError, IsADirectoryError)):
        return OutputError(f"cannot write {target}: a part of this path is a file, or it is a folder")
    return OutputError(f"cannot write {target}: {error.strerror or error}")
