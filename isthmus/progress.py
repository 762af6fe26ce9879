"""How far a long call is: a bar in a terminal or notebook, a line in the log every few seconds elsewhere.

Every function of the api that may take more than a second has an argument `progress`. By default it is
chosen by `default_progress`; `SILENT` shows nothing; anything else of the protocol `Progress` may be given:

    class Printer:
        def task(self, label, total, unit="", *, start=0):
            return PrinterTask(label, total)          # a `Task` with its own `update`

    isthmus.embed(model, "photos/", progress=Printer())
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from isthmus.escaping import for_terminal
from isthmus.log import LOGGER

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BEFORE_BAR = 1.0  # a call that is over sooner shows no bar in Python


class Task:
    """One job in progress, for a `with` block; this one shows nothing.

    Args:
        label: what is done, such as "training".
        total: how much of it there is, in units of the caller's choice; 0 where that is not known.
        start: so much was done before: it counts as done, but not towards the pace.
    """

    def __init__(self, label: str = "", total: float = 0, *, start: float = 0) -> None:
        self.label = label
        self.total = total
        self.start = start
        self.running = False

    def update(self, done: float, text: str = "") -> None:
        """`done` of the total is finished; `text` is the state of the job (an epoch, a loss, a file name)."""

    def say(self, text: str) -> None:
        """Print a line on stderr without tearing what is shown."""
        print(for_terminal(text), file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the job outside of a `with` block."""
        if self.running:
            self.__exit__()

    def __enter__(self) -> Self:
        self.running = True
        return self

    def __exit__(self, *_error: object) -> None:
        self.running = False


class Progress(Protocol):
    """Shows the progress of a call."""

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:
        """Begin a job. `unit` names what `total` counts, for example "images"."""
        ...


class Silent:
    """Shows nothing."""

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        return Task(label, total, start=start)


SILENT = Silent()


class Bars:
    """A bar for each job, on stderr or in a notebook's cell."""

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        return BarTask(label, total, start=start, delay_seconds=_SECONDS_BEFORE_BAR)


class LogLines:
    """A line of level INFO in the log every few seconds."""

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        return LogTask(label, total, start=start)


def default_progress() -> Progress:
    """Bars in a terminal or a notebook, lines in the log elsewhere."""
    import os

    if "ipykernel" in sys.modules or (sys.stderr.isatty() and os.environ.get("TERM") != "dumb"):
        return Bars()
    return LogLines()


def start_task(
    progress: Progress | None, label: str, total: float, unit: str = "", *, start: float = 0
) -> Task:
    """Begin a job with the given progress, or with the default one."""
    return (default_progress() if progress is None else progress).task(label, total, unit, start=start)


class LineTask(Task):
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

    def __exit__(self, *error: object) -> None:
        # The update that was held back is the latest one: it matters most when the job has just failed.
        if self._held is not None:
            self._print(*self._held, self._clock())
        super().__exit__(*error)

    def _print(self, done: float, text: str, now: float) -> None:
        self._printed = now
        self._held = None
        share = f"{100 * min(done / self.total, 1):.0f}%" if self.total > 0 else f"{done:g}"
        seconds_left = remaining(done - self.start, self.total - self.start, now - self._began)
        parts = [f"{self.label}: {share}", text, f"{duration(seconds_left)} left" if seconds_left else ""]
        self.say("  ".join(part for part in parts if part))


class LogTask(LineTask):
    """The same lines, in the log."""

    def say(self, text: str) -> None:
        LOGGER.info("%s", text)


class BarTask(Task):
    """For terminals: a bar with the time left, shown after `delay_seconds`."""

    def __init__(self, label: str, total: float, *, start: float = 0, delay_seconds: float = 0.0) -> None:
        super().__init__(label, total, start=start)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._due = time.monotonic() + delay_seconds
        self._delayed = delay_seconds > 0

    def __enter__(self) -> Self:
        if not self._delayed:
            self._show()
        return super().__enter__()

    def _show(self) -> None:
        # rich takes longer to import than `isthmus --help` to answer.
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
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

    def update(self, done: float, text: str = "") -> None:
        if self._bar is None and self.running and time.monotonic() >= self._due:
            self._show()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
            if text:
                self._bar.update(self._task, seen=for_terminal(text))

    def say(self, text: str) -> None:
        if self._bar is None:
            super().say(text)
        else:
            self._bar.console.print(for_terminal(text), markup=False, soft_wrap=True)

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        super().__exit__(*error)


def remaining(done: float, total: float, seconds: float) -> float | None:
    """Seconds left at the mean pace so far; None before anything is known and after the end."""
    if done <= 0 or done >= total:
        return None
    return seconds * (total - done) / done


def duration(seconds: float) -> str:
    """A length of time in words: "45 s", "3 min 20 s", "2 h 05 min"."""
    rounded = max(round(seconds), 0)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60:02d} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60:02d} min"
