"""One thing that the doctor noticed. No torch here: a model's header is read without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from isthmus.errors import Hint

Severity = Literal["problem", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """What was noticed, and what to do about it.

    Attributes:
        name: `posterior-collapse`, `over-fitting`, …; one per kind, so that it can be looked up and counted.
        severity: `problem`: the model is hardly of use; `warning`: it could be clearly better; `note`.
        message: one line, with the numbers that it rests on.
        suggestion: what to add to the training command, such as `--set optimiser.rate=0.0005`; or, where the
            images are the matter, what to do with them.
    """

    name: str
    severity: Severity
    message: str
    suggestion: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}; try {self.suggestion}"

    def as_hint(self) -> Hint | None:
        """The suggestion as an option to add; None where it is about the images."""
        if not self.suggestion.startswith("--"):
            return None
        option, _, value = self.suggestion.removeprefix("--").partition(" ")
        return Hint.add(**{"settings" if option == "set" else option.replace("-", "_"): value})

    def to_dict(self) -> dict[str, str]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """The inverse of `to_dict`; other keys are left alone.

        Raises:
            KeyError, TypeError: not what `to_dict` gives.
        """
        return cls(**{key: str(data[key]) for key in ("name", "severity", "message", "suggestion")})  # type: ignore[arg-type]


def recorded(summary: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings that a model's summary holds; none for models from before there were any."""
    return tuple(Finding.from_dict(one) for one in summary.get("findings") or ())
