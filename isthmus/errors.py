"""All exceptions of the package, and `Hint`: how an error can be avoided, as data.

IsthmusError                 one line, and where there is one a hint
├── UsageError               the request itself: a misspelt recipe, setting or option (exit 2); a ValueError
├── CapabilityError          a combination that cannot work, with its reason (exit 2)
├── DataError                no images, unreadable, inconsistent or hostile input; a ValueError
│   ├── ImageFileError       one image file cannot be read (isthmus.images.opening)
│   ├── CompressedFileError  not a compressed image, or damaged (isthmus.codec.container)
│   └── TooManyError         more images than a use can take (isthmus.images.listing)
├── ModelFileError           not a model file, damaged, or from a later version; an OSError
├── OutputError              cannot write: full disk, no permission, a folder in the way; an OSError
│   ├── ExistsError          a file exists, and `force` is off
│   └── BusyError            another process is writing the same output
├── DivergedError            a loss is no longer a number (isthmus.training.losses)
├── ExportError              a model cannot be written as ONNX (isthmus.model.export.onnx)
├── HubError                 the hub or folder to share with refuses (isthmus.model.hub)
├── MissingExtraError        needs an optional dependency: names the extra to install
└── ProcessError             one of several processes that train together failed, or is gone
Stopped                      the user interrupted; the state is saved (exit 130)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from isthmus.installation import install_command
from isthmus.messages import Message, to_field


@dataclass(frozen=True)
class Hint:
    """How an error can be avoided, as data, so that each interface shows it in its own spelling.

    Either words (`Hint("put each class in a folder of its own")`), options to add
    (`Hint.add(force=True)`), both as alternatives, or a use to call (`Hint.call("train", "DATA",
    recipe="codec")`). A word in capitals is to be replaced by the user.

    >>> Hint.add(force=True).for_python()
    'add force=True'
    >>> Hint.call("train", "photos/", recipe="codec").for_python()
    "isthmus.train('photos/', recipe='codec')"
    """

    words: str = ""
    use: str = ""
    arguments: tuple[str, ...] = ()
    options: tuple[tuple[str, object], ...] = ()

    @classmethod
    def add(cls, **options: object) -> Hint:
        """Repeat the call with these options added."""
        return cls(options=tuple(options.items()))

    @classmethod
    def call(cls, use: str, *arguments: str, **options: object) -> Hint:
        """Call the function `isthmus.USE` with these arguments."""
        return cls("", use, arguments, tuple(options.items()))

    def __str__(self) -> str:
        return self.for_python()

    def spell_options(self) -> str:
        """Words and options alone, such as `code='8'`, in the spelling of the interface in use."""
        if (spell := _spelling.get()) is not None:
            return spell(self)
        options = ", ".join(f"{name}={_python_value(value)}" for name, value in self.options)
        return ", or ".join(filter(None, (self.words, options)))

    def for_python(self) -> str:
        """The hint in Python's spelling."""
        options = [f"{name}={_python_value(value)}" for name, value in self.options]
        if self.use:
            return f"isthmus.{self.use}({', '.join([*map(_python_value, self.arguments), *options])})"
        added = f"add {', '.join(options)}" if options else ""
        return ", or ".join(filter(None, (self.words, added)))

    def to_dict(self) -> dict[str, Any]:
        """JSON values: the fields of this class, and `text` in Python's spelling."""
        return {
            "text": self.for_python(),
            "words": self.words,
            "use": self.use,
            "arguments": list(self.arguments),
            "options": {name: to_field(value) for name, value in self.options},
        }


_spelling: ContextVar[Callable[[Hint], str] | None] = ContextVar("isthmus_hint_spelling", default=None)


@contextmanager
def spell_hints(spell: Callable[[Hint], str]) -> Iterator[None]:
    """Within the block `Hint.spell_options` gives what `spell` writes; outside, Python's spelling."""
    token = _spelling.set(spell)
    try:
        yield
    finally:
        _spelling.reset(token)


def is_placeholder(value: object) -> bool:
    """Whether a value of a hint is to be filled in by the user, such as `DATA`."""
    return isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z-]*", value) is not None


def _python_value(value: object) -> str:
    if isinstance(value, tuple) and not any(isinstance(item, str) for item in value):
        return f"({', '.join(map(_python_value, value))})"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_python_value, value))}]"
    return str(value).replace("-", "_") if is_placeholder(value) else repr(value)


class IsthmusError(Exception):
    """Base of every error meant for a user.

    Args:
        template: one line; `{name}` stands for the field of that name, formatted as by `str.format`. A
            template without fields is the line itself, even with braces in it.
        hint: how the error can be avoided, where that is known.
        id: a stable name of this kind of error: lower-case words with dots and hyphens.
        fields: the values in the line.

    Attributes:
        message: the line, a `str`.
        hint: how the error can be avoided, as data, or None.
        id: the stable name, see docs/reference/errors.md.
        fields: the values in the line by name, as JSON values; an error that is the reason of this one
            stands there as `{"id", "text", "fields"}`.

    >>> error = DataError("{path}: no labels", id="data.no-labels", path="photos")
    >>> str(error), error.id, error.fields
    ('photos: no labels', 'data.no-labels', {'path': 'photos'})
    """

    exit_code = 1
    id = "error"

    def __init__(
        self, template: str, /, *, hint: Hint | str | None = None, id: str | None = None, **fields: object
    ) -> None:
        if isinstance(template, Message):
            message = template
        else:
            message = Message(template, id=id or type(self).id, **fields)
        super().__init__(str(message))
        self.message = message
        self.hint = Hint(hint) if isinstance(hint, str) else hint
        self.id = message.id
        self.fields = message.fields
        if self.hint is not None:
            self.add_note(f"hint: {self.hint.for_python()}")

    def __str__(self) -> str:
        return self.message

    def to_dict(self) -> dict[str, Any]:
        """JSON values: `class`, `id`, `text`, `fields`, and `hint` (see `Hint.to_dict`) or None."""
        hint = None if self.hint is None else self.hint.to_dict()
        return {"class": type(self).__name__, **self.message.to_dict(), "hint": hint}


class UsageError(IsthmusError, ValueError):
    exit_code = 2
    id = "usage"


class CapabilityError(IsthmusError):
    exit_code = 2
    id = "capability"


class DataError(IsthmusError, ValueError):
    id = "data"


class ModelFileError(IsthmusError, OSError):
    id = "model-file"


class OutputError(IsthmusError, OSError):
    id = "output"


class ExistsError(OutputError):
    """There is a file at `path`, and nothing was overwritten."""

    id = "output.exists"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(
            "{path} exists; nothing was overwritten",
            id="output.exists",
            hint=Hint.add(force=True),
            path=path,
        )
        self.path = os.fspath(path)


class BusyError(OutputError):
    """Another process, which is still running, writes the output at `path`."""

    id = "output.busy"

    def __init__(self, path: str | os.PathLike[str], owner: str = "") -> None:
        if owner:
            super().__init__(
                "another isthmus (process {process}) is working on {path}; nothing was changed",
                id="output.busy-process",
                process=owner,
                path=path,
            )
        else:
            super().__init__(
                "another isthmus is working on {path}; nothing was changed", id="output.busy", path=path
            )
        self.path = os.fspath(path)


# The ids of errors about a folder that holds nothing to work on; their fields name it, as `folder`, and what
# is `expected` in its place.
EMPTY_FOLDER_IDS = frozenset(("data.folder-without-images", "compressed-file.folder-without-files"))


class MissingExtraError(IsthmusError):
    """`what` needs the optional dependencies of `extra`."""

    id = "extra.missing"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            "{what} needs the extra '{extra}'",
            id="extra.missing",
            hint=install_command(extra),
            what=what,
            extra=extra,
        )


class ProcessError(IsthmusError):
    """Raised by one process for all of them."""

    id = "process"


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """Training was interrupted and its state saved. `resume` is what continues it."""

    exit_code = 130
    id = "training.stopped"

    def __init__(self, step: int, steps: int, resume_file: str) -> None:
        self.message = Message(
            "stopped at step {step} of {steps}; state saved in {file}",
            id="training.stopped",
            step=step,
            steps=steps,
            file=resume_file,
        )
        super().__init__(str(self.message))
        self.fields = self.message.fields
        self.step = step
        self.steps = steps
        self.resume_file = resume_file


def one_line(error: Exception) -> str:
    """The text of an error, as a part of a sentence."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def nearest(word: str, candidates: list[str] | tuple[str, ...]) -> Message:
    """`; did you mean 'x'?` for the closest known word, or the whole list when none is close."""
    import difflib

    close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.5)
    if close:
        return Message("; did you mean '{name}'?", id="suggestion.nearest", name=close[0])
    return Message("; known: {names}", id="suggestion.known", names=", ".join(candidates))
