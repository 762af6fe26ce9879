"""Work that takes a processor: one job at a time, a bounded queue, progress, and cancelling."""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from isthmus.errors import IsthmusError, UsageError
from isthmus.log import LOGGER, SkippedInput, collect_notes, collected_notes, collected_skipped
from isthmus.messages import Message
from isthmus.progress import Task

MAX_WAITING_JOBS = 16
_MAX_KEPT_JOBS = 64  # finished ones, whose answers may not have been fetched yet
Work = Callable[["Job"], Any]
JobState = Literal["waiting", "running", "done", "failed", "cancelled"]


class BusyPageError(UsageError):
    """The queue is full."""

    id = "page.busy"


class _CancelledError(Exception):
    """Raised in the job's thread at its next sign of progress."""


class _JobTask(Task):
    """Writes how far a call is into its job."""

    def __init__(self, job: Job, label: str, total: float, start: float) -> None:
        super().__init__(label, total, start=start)
        self._job = job
        job.label, job.total, job.done, job.text = label, total, start, ""

    def update(self, done: float, text: str = "") -> None:
        self._job.check()
        self._job.done, self._job.text = done, text


@dataclass(eq=False)
class Job:
    """One piece of work; as the `progress` of a use it shows itself.

    Attributes:
        label, done, total, text: how far it is, as `isthmus.progress.Task` has them.
        result: what the work gave, once it is done.
        notes: choices and skipped inputs of the library, as JSON values, see `isthmus.log`.
        error: why it failed.
    """

    work: Work
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: JobState = "waiting"
    label: str = ""
    done: float = 0.0
    total: float = 0.0
    text: str = ""
    result: Any = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    error: Exception | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    _cancel: threading.Event = field(default_factory=threading.Event)

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        """As the protocol `isthmus.progress.Progress`."""
        self.check()
        return _JobTask(self, label, total, start)

    def cancel(self) -> None:
        """End it at the next sign of progress."""
        self._cancel.set()

    def check(self) -> None:
        """End here if it was cancelled."""
        if self._cancel.is_set():
            raise _CancelledError

    def run(self) -> None:
        """Do the work and keep what came of it."""
        self.state = "running"
        try:
            self.check()
            with collect_notes():
                self.result = self.work(self)
                self.notes = [
                    note.to_dict() for note in (*collected_notes(), *map(_say_skipped, collected_skipped()))
                ]
            self.state = "done"
        except _CancelledError:
            self.state = "cancelled"
        except Exception as error:
            if not isinstance(error, IsthmusError):
                LOGGER.log(logging.ERROR, "internal error of the page", exc_info=error)
            self.error = error
            self.state = "failed"
        finally:
            self.finished.set()


def _say_skipped(skipped: SkippedInput) -> Message:
    return Message(
        "{name} was skipped: {reason}", id="page.skipped", name=skipped.name, reason=skipped.reason
    )


class JobQueue:
    """Runs jobs in their order, in one thread.

    Args:
        max_waiting: more are refused.
    """

    def __init__(self, max_waiting: int = MAX_WAITING_JOBS) -> None:
        self._waiting: queue.Queue[Job | None] = queue.Queue(max_waiting)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, work: Work) -> Job:
        """Put work into the queue.

        Raises:
            BusyPageError: the queue is full.
        """
        job = Job(work)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="isthmus-page", daemon=True)
                self._thread.start()
            try:
                self._waiting.put_nowait(job)
            except queue.Full:
                raise BusyPageError(
                    "the server is busy: {waiting} requests are waiting",
                    id="page.busy",
                    hint="try again in a moment",
                    waiting=self._waiting.maxsize,
                ) from None
            self._jobs[job.key] = job
            finished = [key for key, job_of_key in self._jobs.items() if job_of_key.finished.is_set()]
            for key in finished[: max(0, len(finished) - _MAX_KEPT_JOBS)]:
                del self._jobs[key]
        return job

    def get(self, key: str) -> Job:
        """Raises:
        UsageError: no such job, or its answer was kept for too long.
        """
        with self._lock:
            if (job := self._jobs.get(key)) is None:
                raise UsageError("the server has no such job", id="page.job-gone")
            return job

    def forget(self, job: Job) -> None:
        """Drop a job whose answer was given."""
        with self._lock:
            self._jobs.pop(job.key, None)

    def close(self) -> None:
        """Cancel everything and wait shortly for the running job."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()
            thread = self._thread
        if thread is not None:
            try:
                self._waiting.put(None, timeout=5)
            except queue.Full:  # the job in work shows no progress: the thread ends with the process
                return
            thread.join(timeout=5)

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            job.run()
