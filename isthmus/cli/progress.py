"""How far a long job is: a bar on a terminal, a line every few seconds elsewhere, nothing with `--quiet`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from isthmus.escaping import for_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SECONDS_BETWEEN_LINES = 5.0


class ProgressLine:
    """A job in progress, for a `with` block. How it is shown is up to the subclasses.

    `start` of the total was done before: it counts as done, but not towards the pace.
    """

    def __init__(self, label: str = "", total: float = 0, *, start: float = 0) -> None:
        self.label = label
        self.total = total
        self.start = start
        self.running = False

    def update(self, done: float, text: str = "") -> None:
        """`done` of the total is finished; `text` says what the job sees (an epoch, a loss, a file name)."""

    def say(self, text: str) -> None:
        """Print a line on stderr without tearing what is shown."""
        print(for_terminal(text), file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        self.running = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.running = False


class SilentLine(ProgressLine):
    """Shows nothing."""


class PlainLine(ProgressLine):
    """For logs and pipes: the first update, then one line every few seconds, and the last one."""

    def __init__(
        self, label: str, total: float, *, start: float = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(label, total, start=start)
        self._clock = clock
        self._began = clock()
        self._printed: float | None = None
        self._held: tuple[float, str] | None = None

    def update(self, done: float, text: str = "") -> None:
        now = self._clock()
        if self._printed is None or now - self._printed >= _SECONDS_BETWEEN_LINES:
            self._print(done, text, now)
        else:
            self._held = (done, text)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What was held back is the last thing known, most of all when the job has just failed.
        if self._held is not None:
            self._print(*self._held, self._clock())
        super().__exit__(kind, error, trace)

    def _print(self, done: float, text: str, now: float) -> None:
        self._printed = now
        self._held = None
        share = f"{100 * min(done / self.total, 1):.0f}%" if self.total > 0 else f"{done:g}"
        left = remaining(done - self.start, self.total - self.start, now - self._began)
        parts = [f"{self.label}: {share}", text, f"{duration(left)} left" if left else ""]
        self.say("  ".join(part for part in parts if part))


class RichLine(ProgressLine):
    """For terminals: a bar with the time left."""

    def __init__(self, label: str, total: float, *, start: float = 0) -> None:
        super().__init__(label, total, start=start)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        # rich takes longer to import than `isthmus --help` to answer.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[seen]}", markup=False),
            console=Console(stderr=True, highlight=False),
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bar.start()
        self._task = self._bar.add_task(
            self.label, total=self.total or None, completed=int(self.start), seen=""
        )
        return super().__enter__()

    def update(self, done: float, text: str = "") -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
            if text:
                self._bar.update(self._task, seen=for_terminal(text))

    def say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(for_terminal(text), markup=False, soft_wrap=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        super().__exit__(kind, error, trace)


def remaining(done: float, total: float, seconds: float) -> float | None:
    """Seconds left at the mean pace so far; None before anything is known and after the end."""
    if done <= 0 or done >= total:
        return None
    return seconds * (total - done) / done


def duration(seconds: float) -> str:
    """A length of time as people say it: "45 s", "3 min 20 s", "2 h 05 min"."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
