"""Standard output and error that never end the work: what cannot be written is dropped and remembered.

A command works for minutes and then prints. A closed stream, a full device or a reader that has gone must not
undo that work; the exit code shows that something was lost.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_DESCRIPTORS = (0, 1, 2)


class TolerantFile(io.FileIO):
    """A file descriptor for writing whose errors are not raised but kept, the first one in `error`.

    Args:
        descriptor: stays open when this object is closed.
        closed_before: the stream was closed when the process started; every write is an error then.
    """

    def __init__(self, descriptor: int, *, closed_before: bool = False) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None
        self._closed_before = closed_before

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._closed_before and self.error is None:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self.error is None:
            try:
                return os.write(self.fileno(), data)
            except BlockingIOError:
                raise
            except OSError as error:
                self.error = error
        return size


class Streams:
    """The standard streams while a command runs."""

    def __init__(self, output: TolerantFile | None) -> None:
        self._output = output

    @property
    def output_error(self) -> OSError | None:
        """The first error on standard output; None if everything printed so far has arrived."""
        if self._output is None:
            return None
        sys.stdout.flush()
        return self._output.error


@contextlib.contextmanager
def tolerant_streams() -> Iterator[Streams]:
    """Within: `sys.stdout` and `sys.stderr` are tolerant and print any file name, escaped where they must.

    Streams that the caller has put in their place (a test, a notebook) stay; they escape, too, if they can.
    """
    original_streams = sys.stdout, sys.stderr
    _occupy_closed_descriptors()
    output: TolerantFile | None = None
    # Windows' consoles are no plain files, and their errors are others.
    replaceable = sys.platform != "win32"
    if replaceable and sys.stdout is sys.__stdout__:
        sys.stdout, output = _open_tolerant(1, sys.stdout)
    if replaceable and sys.stderr is sys.__stderr__:
        sys.stderr, _ = _open_tolerant(2, sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    try:
        yield Streams(output)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        sys.stdout, sys.stderr = original_streams


def _open_tolerant(descriptor: int, stream: TextIO | None) -> tuple[TextIO, TolerantFile]:
    # None: the stream was closed when Python started.
    if stream is not None:
        stream.flush()
    raw = TolerantFile(descriptor, closed_before=stream is None)
    text = io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=None if stream is None else stream.encoding,
        line_buffering=descriptor == 2 or raw.isatty(),
    )
    return text, raw


def _occupy_closed_descriptors() -> None:
    """Open the null device where a standard stream is closed.

    The next opened file would get the stream's number, and anything that a library prints to it.
    """
    for descriptor in _DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
