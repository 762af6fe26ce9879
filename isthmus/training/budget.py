"""The time of a training: its clock, and how many steps fit into the rest of a training in minutes.

The number of steps is never fixed. At each validation (and between them where a validation takes more than a
hundredth of the time, so that only a few can be afforded) the rest of the schedule is planned again, with the
pace of the steps since the last plan, so that progress reaches 1 when the time is used, however busy the
machine is at each moment.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean, median

from isthmus.training.schedule import Knot, Schedule
from isthmus.training.state import TrainState

VALIDATIONS = 40
VALIDATION_SHARE = 0.1  # of the time that validations may take, as far as their number can be chosen
USED_SHARE = 0.98  # of the budget is planned; the rest is for what follows the last validation
PREPARATION_SHARE = 0.3  # of the budget that reading and measuring are charged with at most
SEGMENT_SHARE = 0.05  # of the budget: the rest is planned again after as much, with a validation or not
FIRST_STEPS = 40  # that the first plan assumes at least: it rests on a few measured steps
LATE = 2.0  # times its planned duration: then steps have become so slow that the plan is made again
LATE_STEPS = 4  # whose mean is the pace then
LAST_STEP_SHARE = 0.05  # of the budget that a last step may take beyond it
OVERRUN = 0.01  # of the budget: later than this is not waited for the planned end
ANNEALED = 0.99  # progress from which ending at once no longer costs the falling learning rate's gain
PAUSE_SHARE, PAUSE_RATIO = 0.1, 5.0  # of the budget, of the slowest recent step: more is no slow step
RECENT_STEPS = 20


@dataclass
class Budget:
    """The time of a training in minutes. All values are numbers that JSON keeps exactly.

    Attributes:
        seconds: the whole budget.
        step_seconds: expected duration of a step.
        validation_steps: how many training steps hold as many images as a validation.
        validation_seconds: duration of the last validation, None before the first.
        used: seconds charged so far; since_validation: those since the last validation.
        paused: seconds that were not charged, because the process or the machine stood still.
        segment_seconds, segment_steps: since the last plan; segment_planned: what was planned for it.
        deadline: of `used`, after which the plan is late.
        recent: durations of the last steps; held: of a pause that may still turn out to be a slow step.
    """

    seconds: float
    step_seconds: float
    validation_steps: float
    validation_seconds: float | None = None
    used: float = 0.0
    since_validation: float = 0.0
    paused: float = 0.0
    segment_seconds: float = 0.0
    segment_steps: int = 0
    segment_planned: float = 0.0
    deadline: float = 0.0
    recent: list[float] = field(default_factory=list)
    held: float = 0.0

    @classmethod
    def of(cls, seconds: float, step_seconds: float, validation_steps: float) -> Budget:
        """The whole budget before the first step."""
        return cls(seconds, step_seconds, validation_steps)

    # ------------------------------------------------------------ what is charged

    def add_preparation(self, seconds: float) -> None:
        """Charge reading and measuring, up to a limit, because they may take longer than the training."""
        self.used += min(max(seconds, 0.0), PREPARATION_SHARE * self.seconds)

    def add_step(self, seconds: float) -> None:
        """Charge a step with all that surrounds it (reading images, saving a state, reporting).

        A step that is far longer than those before it, and a considerable part of the budget, is a pause of
        the process or the machine and is charged like a usual one. Two in a row are a slow machine, and both
        are charged.
        """
        typical = median(self.recent) if self.recent else self.step_seconds
        slowest = max(self.recent, default=self.step_seconds)
        charged = seconds
        if seconds > max(PAUSE_SHARE * self.seconds, PAUSE_RATIO * slowest):
            if self.held:
                charged, self.held = seconds + self.held, 0.0
                self.paused -= charged - seconds
                self._remember(seconds)
            else:
                charged, self.held = typical, seconds - typical
                self.paused += self.held
        else:
            self.held = 0.0
            self._remember(seconds)
        self.used += charged
        self.since_validation += charged
        self.segment_seconds += charged
        self.segment_steps += 1

    def add_validation(self, seconds: float) -> None:
        """Charge a validation; a pause in it is charged like the usual duration."""
        slowest = max(self.recent, default=self.step_seconds)
        usual = max(self.expected_validation, self.validation_steps * slowest)
        if seconds > max(PAUSE_SHARE * self.seconds, PAUSE_RATIO * usual):
            self.paused += seconds - self.expected_validation
            seconds = self.expected_validation
        self.used += seconds
        self.validation_seconds, self.since_validation = seconds, 0.0

    def _remember(self, seconds: float) -> None:
        self.recent = [*self.recent[1 - RECENT_STEPS :], seconds]

    # ------------------------------------------------------------ what is planned

    def _pace(self) -> float:
        """Seconds that the next steps should take each."""
        if not self.segment_steps:
            return self.step_seconds
        if self.segment_seconds > LATE * self.segment_planned and self.recent:  # slow since a few steps
            return mean(self.recent[-LATE_STEPS:])
        pace = self.segment_seconds / self.segment_steps
        return pace if self.segment_steps > LATE_STEPS else (pace + self.step_seconds) / 2

    @property
    def expected_validation(self) -> float:
        """Seconds that the next validation should take."""
        seconds = self.validation_seconds
        if seconds is None:
            seconds = self.validation_steps * self.step_seconds / 3  # it runs forward only
        # Where a validation takes longer than the budget, the budget is exceeded: half of it is still for
        # steps.
        return min(seconds, self.seconds / 2)

    @property
    def spacing(self) -> float:
        """Seconds from one validation to the next."""
        return max(self.seconds / VALIDATIONS, self.expected_validation / VALIDATION_SHARE)

    def is_late(self) -> bool:
        """Whether the plan for this part of the training no longer holds, and must be made again now."""
        slow = self.segment_seconds > LATE * self.segment_planned
        return self.segment_steps > 0 and (slow or self.used > self.deadline)

    def wants_validation(self) -> bool:
        """Whether enough time has passed since the last validation, at a step where the rest is planned
        again.
        """
        return self.since_validation >= 0.5 * self.spacing

    def plan(self, step: int, schedule: Schedule | None) -> Schedule:
        """The schedule for the rest of the time; it ends at `step` where none is left.

        Args:
            step: steps taken; schedule: that led here, None before the first step.
        """
        done = 0.0 if schedule is None else schedule.progress(step)
        self.step_seconds = pace = max(self._pace(), 1e-9)
        grace = (1 - USED_SHARE) * self.seconds
        # The checks of the finished model take about as long as a validation.
        left = USED_SHARE * self.seconds - self.used - min(self.expected_validation, grace)
        if done < ANNEALED and left > -grace:  # the learning rate still falls in a short end
            left = max(left, grace)
        validations = max(1, round((left + self.since_validation) / self.spacing))
        working = left - validations * self.expected_validation
        steps = max(0, math.floor(working / pace + 0.3))
        if steps == 0 and done < ANNEALED and pace - working < LAST_STEP_SHARE * self.seconds:
            steps = 1
        if schedule is None:  # the pace is hardly known: assume more steps, and plan again soon
            steps = max(steps, FIRST_STEPS)
        segments = max(1, round(working / min(self.spacing, SEGMENT_SHARE * self.seconds)))
        ahead = min(steps, max(1, round(working / segments / pace)))
        self.segment_seconds, self.segment_steps, self.segment_planned = 0.0, 0, ahead * pace
        self.deadline = self.used + left - self.expected_validation + OVERRUN * self.seconds
        knots = _knots(step, done, step + ahead, step + steps)
        return Schedule(((0, 0.0), *knots)) if schedule is None else schedule.replan(step, knots)


def _knots(step: int, done: float, following: int, last: int) -> tuple[Knot, ...]:
    """After `step` with progress `done`: the next validation and the last one."""
    if last <= step:
        return ()
    if following >= last:
        return ((last, 1.0),)
    return (following, done + (1 - done) * (following - step) / (last - step)), (last, 1.0)


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
