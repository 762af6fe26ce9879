"""How `benchmarks/training.py` lets one contender after another work for a moment: orders in, numbers out.

A contender is a process of its own. It prints one line of facts when it is ready, then waits on its standard
input for orders: `train` (one pass over its images), any other word it knows, or `end`. After each it prints
how many images it took, how long that was, and how long its threads were busy. While it waits it costs
nothing, so contenders take turns within one run and the machine's moods meet all alike.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


class Gate:
    """The contender's side. What libraries print goes to standard error, so the answers stay clean."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._began = (0.0, 0.0)

    def say(self, facts: dict[str, Any]) -> None:
        self._out.write(json.dumps(facts) + "\n")
        self._out.flush()

    def wait(self) -> str:
        """The next order; the clock runs from then on."""
        order = sys.stdin.readline().strip() or "end"
        self._began = (time.perf_counter(), time.process_time())
        return order

    def report(self, images: int, **facts: Any) -> None:
        """Report that the order was carried out."""
        seconds = time.perf_counter() - self._began[0]
        self.say(
            {"images": images, "seconds": seconds, "busy": time.process_time() - self._began[1], **facts}
        )
