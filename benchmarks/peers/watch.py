"""A clock that counts training only, and says when a loss is reached (`benchmarks/time_to_quality.py`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


class OverError(Exception):
    """The target is reached, or the time is over."""


class Watch:
    """Seconds of the processor or of the wall since it was made, without those spent in `look`.

    The first looks are close together and later ones a tenth of the time apart, so that what an early target
    took is known to a tenth.
    """

    def __init__(self, target: float, minutes: float, clock: str) -> None:
        self.target, self.cap = target, 60 * minutes
        self.now = time.process_time if clock == "busy" else time.monotonic
        self.began, self.away, self.next = self.now(), 0.0, 1.0
        self.course: list[tuple[float, float]] = []

    @property
    def seconds(self) -> float:
        return self.now() - self.began - self.away

    def look(self, loss: Callable[[], float]) -> None:
        """Measure, if it is time to; raises `OverError` when there is nothing to wait for."""
        if self.seconds < self.next:
            return
        paused = self.now()
        self.course.append((self.seconds, loss()))
        self.away += self.now() - paused
        self.next = max(self.seconds + 1.0, self.seconds * 1.1)
        if self.course[-1][1] <= self.target or self.seconds > self.cap:
            raise OverError

    def summary(self) -> str:
        """Seconds, losses and whether the target was reached, as JSON."""
        seconds, loss = self.course[-1]
        best = min(value for _, value in self.course)
        facts = {"seconds": seconds, "reached": loss <= self.target, "loss": loss, "best": best}
        return json.dumps({**facts, "course": self.course})
