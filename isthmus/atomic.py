"""Write a file so that no reader ever gets half of it: temporary name, fsync, rename.

Everything the project writes goes through here, so a crash, a full disk or SIGKILL leaves either the old
file or the new one. What SIGKILL also leaves, the temporary file, the next write to the same name removes
once it is an hour old.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from isthmus.errors import ExistsError, IsthmusError
from isthmus.outputs import check_output, explain_os_error, is_stream

READER_SECONDS = 30.0  # a FIFO that nothing has opened for reading by then gets no bytes
STALE_SECONDS = 3600.0  # nobody is still writing a temporary file that has not grown for so long
_MEMORY_BYTES = 1 << 26  # of a result for a device or pipe; more of it waits in a temporary file
_POLL_SECONDS = 0.05
_SUFFIX = ".part"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, force: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file next to `path`; on a clean exit it replaces `path` in one step.

    A link is followed. A character device or FIFO is not replaced: on a clean exit it gets all bytes, where
    something reads the FIFO within `READER_SECONDS`.

    Args:
        path: where the finished file shall be. Its folder is made when missing.
        force: replace an existing file; otherwise raise before anything is written.

    Raises:
        UsageError: `path` is empty or `-`.
        ExistsError: the file exists and `force` is off.
        OutputError: the disk is full, or writing is not possible there; see `isthmus.outputs.check_output`.
    """
    target = check_output(path, force=force)
    writer = _write_stream if _is_stream(target) else functools.partial(_write_file, force=force)
    try:
        with writer(target) as stream:
            yield stream
    except IsthmusError:
        raise
    except FileExistsError as error:
        if force:
            raise explain_os_error(error, path) from error
        raise ExistsError(path) from error
    except OSError as error:
        raise explain_os_error(error, path) from error


def write_bytes(path: str | os.PathLike[str], data: bytes, *, force: bool = True) -> None:
    """`atomic_write` of bytes already in memory."""
    with atomic_write(path, force=force) as stream:
        stream.write(data)


def write_text(path: str | os.PathLike[str], text: str, *, force: bool = True) -> None:
    """`atomic_write` of UTF-8 text; bytes of file names that are not UTF-8 are written as they are."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        data = text.encode("utf-8", "backslashreplace")
    write_bytes(path, data, force=force)


@contextlib.contextmanager
def _write_file(target: Path, *, force: bool) -> Iterator[IO[bytes]]:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Of a fixed length: with the target's name in it, long names that are legal would become too long.
    handle, name = tempfile.mkstemp(prefix=f"{_prefix(target.name)}-", suffix=_SUFFIX, dir=target.parent)
    temporary: str | None = name
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _usual_permissions(name)
        if force:
            Path(name).replace(target)
        elif not _rename_to_new(name, target):
            raise FileExistsError(target)
        temporary = None
        _sync_folder(target.parent)
        _remove_stale(target)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _rename_to_new(name: str, target: Path) -> bool:
    """Rename, unless another process has made `target` in the meantime."""
    try:
        os.link(name, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if target.exists():
            return False
        Path(name).replace(target)
        return True
    Path(name).unlink()
    return True


@contextlib.contextmanager
def _write_stream(target: Path) -> Iterator[IO[bytes]]:
    with tempfile.SpooledTemporaryFile(_MEMORY_BYTES) as buffer:
        yield buffer
        buffer.seek(0)
        with _open_stream(target) as stream:
            shutil.copyfileobj(buffer, stream)


def _open_stream(target: Path) -> IO[bytes]:
    if not target.is_fifo():
        return target.open("wb", buffering=0)
    end = time.monotonic() + READER_SECONDS
    while True:
        try:
            # Without O_NONBLOCK this would wait for a reader for ever.
            descriptor = os.open(target, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() >= end:
                raise
            time.sleep(_POLL_SECONDS)
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "wb", buffering=0)


def _is_stream(target: Path) -> bool:
    try:
        return is_stream(target.stat().st_mode)
    except OSError:
        return False


def _usual_permissions(path: str) -> None:
    # mkstemp makes files private (0600); a user expects what open() would have given them.
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        Path(path).chmod(0o666 & ~mask)


def _sync_folder(folder: Path) -> None:
    # The rename itself lives in the folder; without this a power cut may forget it. Windows has no such call,
    # and a folder into which one may write need not be one that may be read.
    if os.name == "posix":
        with contextlib.suppress(PermissionError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _prefix(name: str) -> str:
    return f".isthmus-{hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()}"


def _remove_stale(target: Path) -> None:
    stale = _stale(target.parent.resolve())
    # Version 0.1 had the file's name itself in the temporary one.
    for leftover in [*stale.pop(_prefix(target.name), ()), *stale.pop(f".{target.name}", ())]:
        with contextlib.suppress(OSError):
            leftover.unlink()


@functools.lru_cache(maxsize=256)
def _stale(folder: Path) -> dict[str, list[Path]]:
    # Listed once per process and folder: a job that writes N files must not list N² names.
    folders: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = re.fullmatch(r"(\.isthmus-[0-9a-f]{8})-[a-z0-9_]{8}\.part", entry.name)
            match = match or re.fullmatch(r"(\..+)\.[a-z0-9_]{8}\.part", entry.name)
            if match is None or not entry.is_file(follow_symlinks=False):
                continue
            if time.time() - entry.stat(follow_symlinks=False).st_mtime > STALE_SECONDS:
                folders.setdefault(match[1], []).append(Path(entry.path))
    return folders
