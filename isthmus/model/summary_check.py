"""Check that the training summary of a model file has the types that `train` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def check_summary(summary: Mapping[str, Any]) -> None:
    """Parts may be missing, None or unknown; a loss may be NaN.

    Raises:
        TypeError: names the first part that is of another kind.
    """
    for key, check in _SUMMARY.items():
        if summary.get(key) is not None and not check(summary[key]):
            raise TypeError(f"{key} of its summary")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(check(item) for item in value)


def _table(**parts: Check) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, dict) and all(
            value.get(key) is None or part(value[key]) for key, part in parts.items()
        )

    return check


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and "step" in value and all(_is_number(item) for item in value.values())


def _is_finding(value: Any) -> bool:
    keys = ("name", "severity", "message", "suggestion")
    return isinstance(value, dict) and all(isinstance(value.get(key), str) for key in keys)


def _is_spent(value: Any) -> bool:
    # All of these are shown together.
    return isinstance(value, dict) and all(
        _is_number(value.get(key)) for key in ("epsilon", "delta", "noise", "clip", "steps")
    )


def _is_best(value: Any) -> bool:
    return isinstance(value, dict) and _is_count(value.get("step")) and _is_number(value.get("validation"))


_SUMMARY: dict[str, Check] = {
    "version": _is_text,
    "torch": _is_text,
    "data": _table(
        source=_is_text,
        fingerprint=_is_text,
        images=_is_count,
        held_out=_is_count,
        classes=_list_of(_is_text),
        notes=_list_of(_is_text),
        skipped=_list_of(_list_of(_is_text)),
        inventory=_table(count=_is_count, names=_is_text),
    ),
    "options": _table(),
    "settled": _table(
        size=_list_of(_is_count),
        batch=_is_count,
        steps=_is_count,
        validate_every=_is_count,
        precision=_is_text,
        seed=_is_count,
        notes=_list_of(_is_text),
    ),
    "threads": _is_count,
    "steps": _is_count,
    "seconds": _is_number,
    "images_per_second": _is_number,
    "ended_early": lambda value: isinstance(value, bool),
    "complete": lambda value: isinstance(value, bool),
    "kept": _is_text,
    "best": _is_best,
    "history": _list_of(_is_row),
    "findings": _list_of(_is_finding),
    "privacy": _is_spent,
}
