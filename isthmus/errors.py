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
│   ├── ExistsError          a file is there already, and it was not asked to replace it
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
from collections.abc import Mapping
from dataclasses import dataclass

from isthmus.installation import install_command


@dataclass(frozen=True)
class Hint:
    """How an error can be avoided, as data, so that each interface shows it in its own spelling.

    Either words (`Hint("put each class in a folder of its own")`), options to add
    (`Hint.add(force=True)`), or a use to call (`Hint.call("train", "DATA", recipe="codec")`). A word in
    capitals stands for something that the user has to fill in.

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

    def for_python(self) -> str:
        """The hint in Python's spelling."""
        options = [f"{name}={_python_value(value)}" for name, value in self.options]
        if self.use:
            return f"isthmus.{self.use}({', '.join([*map(_python_value, self.arguments), *options])})"
        return self.words or f"add {', '.join(options)}"


def is_placeholder(value: object) -> bool:
    """Whether a value of a hint is to be filled in by the user, such as `DATA`."""
    return isinstance(value, str) and re.fullmatch(r"[A-Z][A-Z-]*", value) is not None


def _python_value(value: object) -> str:
    return str(value).replace("-", "_") if is_placeholder(value) else repr(value)


class IsthmusError(Exception):
    """Base of every error meant for a user.

    Attributes:
        message: one line.
        hint: how the error can be avoided, where that is known.
        id: a stable name of this kind of error, for translations.
        fields: the values in the message, by name.
    """

    exit_code = 1
    id = "error"

    def __init__(
        self,
        message: str,
        *,
        hint: Hint | str | None = None,
        id: str | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = Hint(hint) if isinstance(hint, str) else hint
        self.id = type(self).id if id is None else id
        self.fields = dict(fields or {})
        if self.hint is not None:
            self.add_note(f"hint: {self.hint.for_python()}")

    def __str__(self) -> str:
        return self.message


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

    id = "exists"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(
            f"{path} exists; nothing was overwritten", hint=Hint.add(force=True), fields={"path": path}
        )
        self.path = os.fspath(path)


class BusyError(OutputError):
    """Another process, which is still running, writes the output at `path`."""

    id = "busy"

    def __init__(self, path: str | os.PathLike[str], owner: str = "") -> None:
        which = f" (process {owner})" if owner else ""
        super().__init__(f"another isthmus{which} is working on {path}; nothing was changed")
        self.path = os.fspath(path)


class MissingExtraError(IsthmusError):
    id = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'", hint=install_command(extra))


class ProcessError(IsthmusError):
    """Raised by one process for all of them."""

    id = "process"


class Stopped(Exception):  # noqa: N818 - not an error: the user asked for it
    """Training was interrupted and its state saved. `resume` is what continues it."""

    exit_code = 130

    def __init__(self, step: int, steps: int, resume_file: str) -> None:
        super().__init__(f"stopped at step {step} of {steps}; state saved in {resume_file}")
        self.step = step
        self.steps = steps
        self.resume_file = resume_file


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean 'x'?` for the closest known word, or the whole list when none is close."""
    import difflib

    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; known: {', '.join(known)}"
