"""`Stopwatch`: the durations of a training's steps and validations, and when it reports and saves.

A training reads the time here only: a `Clock` is handed from `isthmus.train` to all that measures, so that a
test can replace it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from isthmus.training.budget import Budget
from isthmus.training.state import TrainState

Clock = Callable[[], float]
"""Seconds since some fixed moment; never runs backwards."""

monotonic: Clock = time.monotonic


REPORT_SECONDS = 0.5


class Stopwatch:
    """Reads the clock once after each step and validation, and charges the budget of a training in minutes.

    Args:
        clock: seconds since some fixed moment.
        budget: of a training in minutes, else None.
    """

    def __init__(self, clock: Clock, budget: Budget | None) -> None:
        self.clock, self.budget = clock, budget
        self._start = self._now = self._reported = self._saved = 0.0
        self._seconds_before, self._first_step, self._paused_before = 0.0, 0, 0.0

    def start(self, state: TrainState) -> None:
        """Begin to measure, before the first step or the next one."""
        self._start = self._now = self._reported = self._saved = self.clock()
        self._seconds_before, self._first_step = state.seconds, state.step
        self._paused_before = 0.0 if self.budget is None else self.budget.paused

    def end_step(self) -> None:
        before, self._now = self._now, self.clock()
        if self.budget is not None:
            self.budget.add_step(self._now - before)

    def end_validation(self) -> None:
        if self.budget is not None:
            before, self._now = self._now, self.clock()
            self.budget.add_validation(self._now - before)

    def end_report(self) -> None:
        self._reported = self._now

    def is_report_due(self) -> bool:
        return self._now - self._reported > REPORT_SECONDS

    def is_checkpoint_due(self, seconds: float) -> bool:
        """Whether the last checkpoint is longer ago than `seconds`; if so, this one counts from now."""
        due = self._now - self._saved > seconds
        if due:
            self._saved = self._now
        return due

    def write_seconds(self, state: TrainState) -> None:
        """Write the time of training so far into the counters; pauses of the process are no part of it."""
        state.seconds = self._seconds_before + self._now - self._start
        if self.budget is not None:
            state.seconds -= self.budget.paused - self._paused_before

    def images_per_second(self, step: int, batch: int) -> float:
        return (step - self._first_step) * batch / max(self._now - self._start, 1e-9)
