"""A request of the browser: one JSON object, whose values are checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from isthmus.errors import UsageError


class Request:
    """The values of one request by name; a wrong or missing one is an error that names it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None, *, choices: Sequence[str] | None = None) -> str:
        """A text; with `choices`, one of these."""
        value = self._values.get(name, default)
        if not isinstance(value, str) or len(value) > 4_000 or (choices is not None and value not in choices):
            _refuse(name, value)
        return value

    def number(self, name: str, default: float | None = None, *, low: float, high: float) -> float:
        """A finite number from `low` to `high`."""
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            _refuse(name, value)
        if not low <= value <= high:
            _refuse(name, value)
        return float(value)

    def integer(self, name: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        value = self.number(name, default, low=low, high=high)
        if not value.is_integer():
            _refuse(name, value)
        return int(value)

    def numbers(self, name: str, *, most: int) -> list[float]:
        """At most `most` finite numbers."""
        value = self._values.get(name, [])
        sound = isinstance(value, list) and len(value) <= most
        if not sound or any(
            isinstance(number, bool) or not isinstance(number, int | float) for number in value
        ):
            _refuse(name, value)
        if not all(math.isfinite(number) and abs(number) <= 1e6 for number in value):
            _refuse(name, value)
        return [float(number) for number in value]

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            _refuse(name, value)
        return value

    def has(self, name: str) -> bool:
        """Whether it was given, and is not null."""
        return self._values.get(name) is not None


def _refuse(name: str, value: object) -> NoReturn:
    raise UsageError("{name}={value} is not valid", id="page.parameter", name=name, value=repr(value)[:60])
