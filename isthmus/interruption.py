"""Ctrl-C keeps what is done: one rule for every use.

The first Ctrl-C ends a call. Where a part of the answer is finished, that part is returned as a result with
`complete=False`, and the log has how much it is. Where nothing is finished, or where a part would be of no
use (one image, one file), KeyboardInterrupt is raised. A second Ctrl-C always raises it, at once.

    rows = []
    with Interruption() as stop, start_task(progress, "measuring", len(sets), "sets") as task:
        for one in sets:
            rows.append(measure(one))
            task.update(len(rows))
    stop.check(len(rows), len(sets), "set")             # raises KeyboardInterrupt where no row is finished
    return Measurements(rows=tuple(rows), complete=stop.complete)

In a use that calls other uses only the outer one keeps its part: it is the one that was called, and an inner
result without its end must not be taken for a whole one.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Self, TypeVar

from isthmus.log import log_note
from isthmus.wording import choose_word

Item = TypeVar("Item")
NOTE_ID = "call.interrupted"
_TEMPLATE = "interrupted: {done:,} of {total:,} {unit} done{then}"
_depth: ContextVar[int] = ContextVar("isthmus_use_depth", default=0)


@contextmanager
def inside_use() -> Iterator[None]:
    """Within the block a use is running, perhaps inside of another one."""
    token = _depth.set(_depth.get() + 1)
    try:
        yield
    finally:
        _depth.reset(token)


def is_inside_use() -> bool:
    """Whether a use is running in this context."""
    return _depth.get() > 0


class Interruption:
    """Ends its `with` block at Ctrl-C; may be entered several times, for several parts of the work.

    Attributes:
        happened: whether there was a Ctrl-C.
        complete: whether everything was finished nevertheless; set by `check`.
    """

    def __init__(self) -> None:
        self.happened = False
        self.complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, KeyboardInterrupt) or _depth.get() > 1:
            return False
        self.happened = True
        return True

    def collect(self, items: Iterable[Item]) -> list[Item]:
        """The items that come until Ctrl-C."""
        collected: list[Item] = []
        with self:
            for item in items:
                collected.append(item)  # noqa: PERF402 - a list of all would have none after an interruption
        return collected

    def check(self, done: int, total: int, unit: str, units: str | None = None, *, then: str = "") -> None:
        """After the work: log how much of it is done, if it was interrupted.

        Args:
            done, total: numbers of what `unit` (in the singular) names.
            units: its plural, by default with an s.
            then: the end of the sentence: how the rest can be done.

        Raises:
            KeyboardInterrupt: nothing is done; its text is the sentence.
        """
        if not self.happened:
            return
        self.complete = done >= total
        counted = choose_word(total, unit, units)
        if done == 0:
            raise KeyboardInterrupt(_TEMPLATE.format(done=done, total=total, unit=counted, then=""))
        log_note(
            _TEMPLATE,
            id=NOTE_ID,
            log_level=logging.WARNING,
            done=done,
            total=total,
            unit=counted,
            then=f"; {then}" if then else "",
        )


@contextmanager
def undivided() -> Iterator[None]:
    """Within the block Ctrl-C waits until its end: for changes that belong together and take no time."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals arrive in the main thread only
        return
    arrived: list[FrameType | None] = []
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        yield
        return
    signal.signal(signal.SIGINT, lambda _number, frame: arrived.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if arrived:
            handler(signal.SIGINT, arrived[0])
