"""What has been tried, in a file of JSON lines: a search that was interrupted goes on from it.

The first line says what is searched; each further line is one trial, finished or not.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.atomic import write_text
from isthmus.errors import DataError, UsageError
from isthmus.evaluation.selection.space import Point
from isthmus.input_files import parse_json, read_text


@dataclass
class Trial:
    """One point: a score per fold for each objective, in the order of the folds.

    `state` is `running`, `done`, `pruned`, or `failed` with `why`.
    """

    point: Point
    scores: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    state: str = "running"
    why: str = ""

    @property
    def finished(self) -> bool:
        return self.state != "running"

    @property
    def folds(self) -> int:
        """How many folds have been scored."""
        return min((len(values) for values in self.scores.values()), default=0)


@dataclass
class Log:
    """All trials of one search; `save` after every fold, so that little is lost."""

    path: Path | None
    about: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)

    def trial(self, point: Point) -> Trial:
        """The trial of this point, begun if it is new."""
        for trial in self.trials:
            if trial.point == point:
                return trial
        self.trials.append(Trial(point))
        return self.trials[-1]

    def save(self) -> None:
        if self.path is not None:
            lines = [json.dumps(self.about), *(json.dumps(vars(trial)) for trial in self.trials)]
            write_text(self.path, "\n".join(lines) + "\n")


def open_log(path: str | os.PathLike[str] | None, about: dict[str, Any], *, force: bool) -> Log:
    """The log at `path`, with what it holds unless `force` is on.

    Raises:
        UsageError: it is of another search. DataError: it is no such log.
    """
    if path is None or force or not Path(path).exists():
        return Log(None if path is None else Path(path), about)
    try:
        lines = read_text(path).split("\n")
        earlier = parse_json(lines[0])
        trials = [Trial(**parse_json(line)) for line in lines[1:] if line.strip()]
        if not isinstance(earlier, dict):
            raise TypeError("its first line describes no search")
    except (OSError, ValueError, TypeError, IndexError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not the log of a search ({reason})", id="tune.not-a-log", path=path, reason=why
        ) from None
    differing = sorted(key for key in {*about, *earlier} if about.get(key) != earlier.get(key))
    if differing:
        raise UsageError(
            "{path} is of another search: {names} differ",
            id="tune.other-search",
            hint="give another log, or begin it anew with force",
            path=path,
            names=", ".join(differing),
        )
    return Log(Path(path), about, trials)
