"""What can go wrong, as types.

IsthmusError                 one line, and where there is one a hint: a command that can be run
├── UsageError               the request itself: a misspelt recipe, setting or option (exit 2)
├── CapabilityError          a combination that cannot work, with its reason (exit 2)
├── DataError                no images, unreadable, inconsistent or hostile input
├── ModelFileError           not a model file, damaged, or from a later version
├── OutputError              cannot write: full disk, no permission, a folder in the way
│   ├── ExistsError          a file is there already, and it was not asked to replace it
│   └── BusyError            another process is writing the same output
├── MissingExtraError        needs an optional dependency: names the extra to install
└── ProcessError             one of several processes that train together failed, or is gone
Stopped                      the user interrupted; the state is saved (exit 130)
"""

from __future__ import annotations

import os

from isthmus.installation import install_command


class IsthmusError(Exception):
    """Base of every error meant for a user. `message` is one line; `hint`, when given, a command."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(IsthmusError):
    exit_code = 2


class CapabilityError(IsthmusError):
    exit_code = 2


class DataError(IsthmusError):
    pass


class ModelFileError(IsthmusError):
    pass


class OutputError(IsthmusError):
    pass


class ExistsError(OutputError):
    """There is a file at `path`, and nothing was overwritten."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(f"{path} exists; nothing was overwritten", hint="repeat the command with --force")
        self.path = os.fspath(path)


class BusyError(OutputError):
    """Another process, which is still running, writes the output at `path`."""

    def __init__(self, path: str | os.PathLike[str], owner: str = "") -> None:
        which = f" (process {owner})" if owner else ""
        super().__init__(f"another isthmus{which} is working on {path}; nothing was changed")
        self.path = os.fspath(path)


class MissingExtraError(IsthmusError):
    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'", hint=install_command(extra))


class ProcessError(IsthmusError):
    """Said by one process for all of them."""


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
