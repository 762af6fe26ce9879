"""The logger `isthmus`: choices that were made for the user, and skipped inputs.

Every use logs its notes here, whichever interface called it, and gives them in its result:

    import logging
    logging.basicConfig(level=logging.INFO)          # shows them in a script

Notes are INFO, inputs that were skipped are WARNING.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from isthmus.messages import Message

LOGGER = logging.getLogger("isthmus")


@dataclass(frozen=True)
class SkippedInput:
    """An input that was left out.

    Attributes:
        name: of the file or image.
        reason: why, in a few words.
        id: a stable name of the reason's kind, see docs/reference/errors.md.
        fields: the values in the reason, by name.
    """

    name: str
    reason: str

    @property
    def id(self) -> str:
        return self.reason.id if isinstance(self.reason, Message) else "skipped"

    @property
    def fields(self) -> dict[str, Any]:
        return self.reason.fields if isinstance(self.reason, Message) else {}

    def to_dict(self) -> dict[str, Any]:
        """JSON values: `name`, `reason`, `id`, `fields`."""
        return {"name": self.name, "reason": str(self.reason), "id": self.id, "fields": self.fields}


_collected: ContextVar[dict[str, Message] | None] = ContextVar("isthmus_notes", default=None)
_skipped: ContextVar[dict[SkippedInput, None] | None] = ContextVar("isthmus_skipped", default=None)


def log_note(template: str, /, *, id: str = "note", log_level: int = logging.INFO, **fields: object) -> None:
    """Log one note, once in a use.

    Args:
        template: the sentence in English; `{name}` stands for the field of that name. Or a finished message.
        id: a stable name of this kind of note.
        log_level: `logging.WARNING` for notes that a user must not miss, also where other notes are off.
        fields: the values in it.
    """
    note = template if isinstance(template, Message) else Message(template, id=id, **fields)
    notes = _collected.get()
    if notes is not None:
        if note in notes:
            return
        notes[str(note)] = note
    LOGGER.log(log_level, "%s", note)


def log_skipped(skipped: Sequence[SkippedInput]) -> None:
    """Log the inputs that a use left out, each once."""
    logged = _skipped.get()
    for left_out in skipped:
        entry = SkippedInput(left_out.name, left_out.reason)
        if logged is not None:
            if entry in logged:
                continue
            logged[entry] = None
        LOGGER.warning("skipped %s: %s", left_out.name, left_out.reason, extra={"isthmus_skipped": True})


@contextmanager
def collect_notes() -> Iterator[None]:
    """Within the block `collected_notes` gives the notes, and `collected_skipped` the skipped inputs; a
    use inside of a use adds to both.
    """
    outer, outer_skipped = _collected.get(), _skipped.get()
    notes_by_text: dict[str, Message] = {}
    own_skipped: dict[SkippedInput, None] = {}
    token, token_skipped = _collected.set(notes_by_text), _skipped.set(own_skipped)
    try:
        yield
    finally:
        _collected.reset(token)
        _skipped.reset(token_skipped)
        if outer is not None:
            outer.update(notes_by_text)
        if outer_skipped is not None:
            outer_skipped.update(own_skipped)


def collected_notes() -> tuple[Message, ...]:
    """The notes of the current use so far, in their order, each once."""
    return tuple((_collected.get() or {}).values())


def collected_skipped() -> tuple[SkippedInput, ...]:
    """The inputs that the current use has left out so far, in their order, each once."""
    return tuple(_skipped.get() or ())
