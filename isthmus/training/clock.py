"""The one place where a training reads the time.

A `Clock` is handed from `isthmus.train` to all that measures, so that a test can replace it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since some fixed moment; never runs backwards."""

monotonic: Clock = time.monotonic
