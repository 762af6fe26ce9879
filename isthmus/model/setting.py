"""How one setting is declared, checked, read from text and explained.

Every axis of the product space is a frozen dataclass whose fields are made by `setting`. The checks, the
parsing of `KEY=VALUE`, the TOML form and the help text all follow from the declaration.
"""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from isthmus.errors import UsageError, nearest

Widths = tuple[int, ...]
_TYPES: dict[type[Any], dict[str, Any]] = {}


def setting(default: Any, text: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A dataclass field with its one-line explanation and, for numbers, inclusive bounds."""
    return dataclasses.field(default=default, metadata={"text": text, "low": low, "high": high})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of every axis point: checks its own values when it is made.

    Raises:
        UsageError: a value is of the wrong type, not among the choices, or out of bounds.
    """

    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _checked(value, self._type(field.name), field, self))

    @classmethod
    def _type(cls, name: str) -> Any:
        # Kept, because evaluating annotations takes a hundred times as long as checking the values.
        if cls not in _TYPES:
            _TYPES[cls] = typing.get_type_hints(cls)
        return _TYPES[cls][name]

    @classmethod
    def explain(cls) -> dict[str, str]:
        """Field name → one line on what it does and its default."""
        return {
            f.name: f"{f.metadata['text']} (default {as_text(f.default)})" for f in dataclasses.fields(cls)
        }

    def replace(self, key: str, text: Any) -> typing.Self:
        """A copy with one field read from text (or given as a value)."""
        names = [f.name for f in dataclasses.fields(self)]
        if key not in names:
            raise UsageError(
                "{point} has no setting '{key}'{suggestion}",
                id="recipe.setting-of-point",
                point=type(self).__name__.lower(),
                key=key,
                suggestion=nearest(key, names),
            )
        value = from_text(text, self._type(key), key) if isinstance(text, str) else text
        return dataclasses.replace(self, **{key: value})

    def to_dict(self) -> dict[str, Any]:
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in plain.items()}
        return {"kind": self.kind, **values} if self.kind else values


def from_text(text: str, kind: Any, key: str) -> Any:
    """Read one value from text: `1e-3`, `true`, `64-128` or `64,128` for widths, `auto` (None)."""
    text = text.strip()
    options = typing.get_args(kind)
    if type(None) in options:
        kind = next(k for k in options if k is not type(None))
        no_widths = typing.get_origin(kind) is tuple and text != "auto"
        if text in ("auto", "none", "") and not no_widths:
            return None
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                text.lower()
            ]
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
        if typing.get_origin(kind) is tuple:
            return () if text in ("none", "") else tuple(int(part) for part in re.split("[-,]", text))
    except (KeyError, ValueError):
        expected = {"bool": "true or false", "int": "a whole number", "float": "a number"}
        name = getattr(kind, "__name__", "")
        raise UsageError(
            "{key}={text}: expected {expected}",
            id="recipe.setting-syntax",
            key=key,
            text=text,
            expected=expected.get(name, "numbers such as 64-128"),
        ) from None
    return text


def as_text(value: Any) -> str:
    """The inverse of `from_text`."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "-".join(str(v) for v in value) if value else "none"
    return str(value)


def _checked(value: Any, kind: Any, field: dataclasses.Field[Any], owner: Settings) -> Any:
    where = f"{type(owner).__name__.lower()}.{field.name}"
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        if value is None:
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is Literal:
        choices = [str(c) for c in typing.get_args(kind)]
        if value not in choices:
            raise UsageError(
                "{key}={value} is not known{suggestion}",
                id="recipe.setting-choice",
                key=where,
                value=value,
                suggestion=nearest(str(value), choices),
            )
        return value
    if typing.get_origin(kind) is tuple:
        return _widths(value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        # Also for whole numbers too large for a float, which are then found to be out of range.
        value = float(value) if abs(value) < 2**1000 else math.inf
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(
            "{key}={value}: expected {type}",
            id="recipe.setting-type",
            key=where,
            value=value,
            type=kind.__name__,
        )
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        finite = isinstance(value, int) or math.isfinite(value)
        if not finite or (low is not None and value < low) or (high is not None and value > high):
            bounds = f"from {low if low is not None else '-∞'} to {high if high is not None else '∞'}"
            raise UsageError(
                "{key}={value} is out of range ({bounds})",
                id="recipe.setting-range",
                key=where,
                value=value,
                bounds=bounds,
            )
    return value


def _widths(value: Any, where: str) -> Widths:
    numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
    are_widths = all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= 65536 for v in numbers)
    if not are_widths or len(numbers) > 64:
        raise UsageError(
            "{key}={value}: widths are up to 64 whole numbers from 1 to 65536",
            id="recipe.widths",
            key=where,
            value=as_text(numbers),
        )
    return numbers
