"""Locks on outputs: of two processes that would write the same file, the second is refused.

A lock is the operating system's (`flock`, on Windows `msvcrt.locking`) on a hidden, empty file next to the
output. It ends with its process, however that ends. The file is removed when the lock is released; one that a
killed process left is taken over, and removed, by the next process that works on the same output.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from isthmus.errors import BusyError
from isthmus.outputs import Name, explain_os_error, resolve_output

_UNSUPPORTED = frozenset(
    getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)
)
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def exclusive(path: Name, *, patience: float = 0.0, name: str = "") -> Iterator[None]:
    """Hold the only lock on the output `path` inside the `with` block.

    Args:
        path: the output, which need not exist; links to it share its lock.
        patience: seconds to wait for another process to finish.
        name: the name of the output in the error, instead of its path.

    Raises:
        BusyError: another process (or thread) holds it.
        OutputError: the folder of `path` cannot be written.
    """
    target = resolve_output(path)
    file = _lock_file(target)
    missing = [folder for folder in (file.parent, *file.parent.parents) if not folder.exists()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(file, name or path, patience)
    except BusyError:
        raise
    except OSError as error:
        raise explain_os_error(error, path) from error
    try:
        yield
    finally:
        _release(file, descriptor)
        for folder in missing:
            with contextlib.suppress(OSError):  # it holds the output now
                folder.rmdir()


def _lock_file(target: Path) -> Path:
    # Resolved, so that ./a, a and a link to the folder of a are one output.
    folder = target.parent.resolve()
    digest = hashlib.blake2b(os.fsencode(target.name), digest_size=8).hexdigest()
    return folder / f".isthmus-{digest}.lock"


def _acquire(file: Path, path: Name, patience: float) -> int:
    until = time.monotonic() + patience
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if _lock(descriptor):
                # Whoever held it before may have removed the file between open and lock.
                if _is_same_file(file, descriptor):
                    _write_owner(descriptor)
                    return descriptor
                os.close(descriptor)
                continue
            owner = _read_owner(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= until:
            raise BusyError(path, owner)
        time.sleep(_POLL_SECONDS)


def _release(file: Path, descriptor: int) -> None:
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(descriptor)
        with contextlib.suppress(OSError):
            file.unlink()
        return
    with contextlib.suppress(OSError):
        file.unlink()  # while the lock is held: nobody can hold it on this file afterwards
    os.close(descriptor)


def _is_same_file(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_owner(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())


def _read_owner(descriptor: int) -> str:
    with contextlib.suppress(OSError):
        text = os.read(descriptor, 32).decode("ascii", "ignore")
        return text if text.isdecimal() else ""
    return ""


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the owner's number, which others may read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _UNSUPPORTED:
                return True  # a file system without locks: no worse than before
            raise
        return True
