"""Output of a command: results on stdout, everything else on stderr, or one JSON object on stdout.

    @click.command()
    @output_options                # adds --json, --quiet, --debug and passes `console`
    def command(console: Console) -> None:
        with console.progress("training", total=100) as line:
            line.update(10, "epoch 1/10  mse 0.0123")
        console.result("readable text")
        console.emit({"schema": "isthmus.train/1", "steps": 100})

Files that are written in addition to an answer go through `save`, so that the answer is not lost with them. A
command calls both `result` and `emit`; which of the two is printed is the user's choice.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec

from isthmus.api.result import to_json_value
from isthmus.errors import IsthmusError, OutputError
from isthmus.escaping import for_terminal, for_terminal_lines
from isthmus.outputs import explain_os_error
from isthmus.progress import BarTask, LineTask, Task

_Parameters = ParamSpec("_Parameters")
_SCHEMA = re.compile(r"isthmus\.[a-z-]+/[0-9]+")


class Console:
    """Where a command's words go.

    Args:
        json: print exactly one JSON object on stdout and no other result.
        quiet: no notes and no progress; warnings stay.
        silent: print nothing: of several processes only the first prints.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, silent: bool = False) -> None:
        self.json = json
        self.quiet = quiet or silent
        self.silent = silent
        self.emitted = False
        self.lost: list[IsthmusError] = []
        self._line: Task | None = None

    def note(self, text: str) -> None:
        """Say something worth knowing, on stderr; silent with `--quiet`."""
        if not self.quiet:
            self._say(for_terminal(text))

    def suggest(self, title: str, lines: Sequence[str] = ()) -> None:
        """Notes after an empty line: a title and, indented, what may be done next."""
        for text in ("", title, *(f"  {line}" for line in lines)):
            self.note(text)

    def warn(self, text: str) -> None:
        """Print on stderr what a user must not miss, also with `--quiet`."""
        self._say(f"isthmus: warning: {for_terminal(text)}")

    def say_interrupted(self, text: str) -> None:
        """Say how much was done until Ctrl-C, on stderr, also with `--quiet`."""
        self._say(f"isthmus: {for_terminal(text)}")

    def result(self, text: str) -> None:
        """Print the answer on stdout; silent with `--json`."""
        if not self.json and not self.silent:
            print(for_terminal_lines(text), flush=True)

    def emit(self, document: Mapping[str, object]) -> None:
        """Print the one JSON object of a `--json` run; does nothing otherwise.

        Args:
            document: has a key `schema`, "isthmus.COMMAND/VERSION". NumPy scalars and arrays, paths and
                tuples are converted; NaN and infinities become null, for JSON has neither.
        """
        if not _SCHEMA.fullmatch(str(document.get("schema", ""))):
            raise ValueError(
                f"a JSON result needs a schema like 'isthmus.train/1', not {document.get('schema')!r}"
            )
        if self.json:
            if self.emitted:
                raise RuntimeError("a command emits exactly one JSON object")
            self.emitted = True
            if self.silent:
                return
            print(json.dumps(to_json_value(document), allow_nan=False), flush=True)

    def save(self, path: str | None, write: Callable[[], object]) -> str | None:
        """Write a file in addition to the answer; if that fails, the answer is printed and the exit code 1.

        Args:
            path: None writes nothing.
            write: called to write it.

        Returns:
            `path`, or None if nothing was written.
        """
        if path is None:
            return None
        try:
            write()
        except (OutputError, OSError) as error:
            self.lose(error if isinstance(error, OutputError) else explain_os_error(error, path))
            return None
        return path

    def lose(self, error: IsthmusError) -> None:
        """Remember that something could not be kept: the command will print its answer and fail."""
        self.lost.append(error)

    def task(self, label: str, total: float, unit: str = "", *, start: float = 0) -> Task:  # noqa: ARG002
        """As the protocol `isthmus.progress.Progress`: functions of the api are given the console itself."""
        return self.progress(label, total, start=start)

    def progress(self, label: str, total: float, *, start: float = 0) -> Task:
        """A context manager that shows on stderr how far a job is: a bar on a terminal, else some lines.

        `start` of the total was done before this job began.
        """
        line: Task
        if self.quiet:
            line = Task(label, total, start=start)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            line = BarTask(label, total, start=start)
        else:
            line = LineTask(label, total, start=start)
        self._line = line
        return line

    def _say(self, text: str) -> None:
        if self.silent:
            return
        if self._line is not None and self._line.running:
            self._line.say(text)
        else:
            print(text, file=sys.stderr, flush=True)


def is_worker_rank() -> bool:
    """Whether this process is one of several that torchrun started, and not the first."""
    return os.environ.get("RANK", "0") != "0" and os.environ.get("WORLD_SIZE", "1") != "1"
