"""One finding of the training doctor. No torch here, because a model's header is read without it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from isthmus.errors import Hint

Severity = Literal["problem", "warning", "note"]


# How files and JSON documents hold a hint: words, an option of the first version's command line, or both.
_STORED = re.compile(r"(?:(?P<words>.*?), or )?--(?P<option>[a-z-]+) (?P<value>.+)")
_SETTINGS = "set"


@dataclass(frozen=True)
class Finding:
    """What was noticed, and what to do about it.

    Attributes:
        name: `posterior-collapse`, `over-fitting`, …; one per kind, so that it can be looked up and counted.
        severity: `problem`: the model is hardly of use; `warning`: it could be clearly better; `note`.
        message: one line, with the numbers behind it.
        hint: options to add to the training, such as `Hint.add(steps=1000)`; or text, if the images must
            change.
    """

    name: str
    severity: Severity
    message: str
    hint: Hint

    @property
    def suggestion(self) -> str:
        """The hint in the spelling of the interface in use: `steps=1000`, or `--steps 1000` in a shell."""
        return self.hint.spell_options()

    def __str__(self) -> str:
        return f"{self.name}: {self.message}; try {self.suggestion}"

    def as_hint(self) -> Hint | None:
        """The hint, as far as it is about options; None where it is about the images alone."""
        return Hint(options=self.hint.options) if self.hint.options else None

    def to_dict(self) -> dict[str, Any]:
        """JSON values; `suggestion` is an option of the command line, `hint` the same as data."""
        return {
            "name": self.name,
            "severity": self.severity,
            "message": str(self.message),
            "suggestion": _to_stored(self.hint),
            "hint": self.hint.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """The inverse of `to_dict`; files of version 0.1 have `suggestion` alone.

        Raises:
            KeyError, TypeError: not what `to_dict` gives.
        """
        name, severity, message = (str(data[key]) for key in ("name", "severity", "message"))
        return cls(name, severity, message, _from_stored(str(data["suggestion"])))  # type: ignore[arg-type]


def change_setting(change: str) -> Hint:
    """The hint to add a setting `KEY=VALUE` of the recipe."""
    return Hint.add(settings=(change,))


def _to_stored(hint: Hint) -> str:
    texts = [hint.words] if hint.words else []
    for name, value in hint.options:
        option = _SETTINGS if name == "settings" else name.replace("_", "-")
        texts += [f"--{option} {item}" for item in (value if isinstance(value, tuple) else (value,))]
    return ", or ".join(texts)


def _from_stored(text: str) -> Hint:
    match = _STORED.fullmatch(text)
    if match is None:
        return Hint(text)
    value: object = int(match["value"]) if re.fullmatch("[0-9]+", match["value"]) else match["value"]
    if match["option"] == _SETTINGS:
        name, value = "settings", (match["value"],)
    elif match["option"] == "code":
        name, value = "code", match["value"]
    else:
        name = match["option"].replace("-", "_")
    return Hint(match["words"] or "", options=((name, value),))


def recorded(summary: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings that a model's summary holds; none for models from before there were any."""
    return tuple(Finding.from_dict(facts) for facts in summary.get("findings") or ())
