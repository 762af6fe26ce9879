"""The finished trials in a file of JSON lines, from which an interrupted search continues.

The first line describes the search; each further line is one trial, finished or not.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from isthmus.atomic import write_text
from isthmus.errors import DataError, Hint, MissingExtraError, UsageError
from isthmus.evaluation.selection.objectives import is_maximised
from isthmus.evaluation.selection.space import Axis, Point
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
    """The log at `path`, with its trials unless `force` is on.

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
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            "{path} is not the log of a search ({reason})", id="tune.not-a-log", path=path, reason=reason
        ) from None
    differing = sorted(key for key in {*about, *earlier} if about.get(key) != earlier.get(key))
    if differing:
        raise UsageError(
            "{path} is the log of another search: {names} differ",
            id="tune.other-search",
            hint=Hint("give another log", options=(("force", True),)),
            path=path,
            names=", ".join(differing),
        )
    return Log(Path(path), about, trials)


Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Proposals:
    """`points` gives one after the other, `report` hears of each that is finished, `should_stop` gives up."""

    points: Callable[[], Iterator[Point]]
    report: Callable[[Trial], None] = lambda _: None
    should_stop: Callable[[Trial], bool] = lambda _: False


def propose_fixed(points: Sequence[Point]) -> Proposals:
    """A list, every point to the end."""
    return Proposals(lambda: iter(points))


def propose_with_optuna(
    axes: Sequence[Axis], names: tuple[str, ...], count: int, seed: int, log: Log
) -> Proposals:
    """`count` points from a tree-structured Parzen estimator (Bergstra et al. 2011), taught by the log.

    With one objective a trial is given up whose mean over its folds is worse than the median of the others
    after as many folds (optuna's median pruner). Optuna has no pruning for two objectives.

    Raises:
        MissingExtraError: optuna is not installed.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError("the search with optuna", "tune")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    directions: list[Direction] = ["maximize" if is_maximised(name) else "minimize" for name in names]
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=0)
    study = optuna.create_study(
        directions=directions, sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner
    )
    distributions = {axis.key: _distribution(optuna, axis) for axis in axes}
    earlier = [trial for trial in log.trials if trial.finished]
    for trial in earlier:
        _add_trial(optuna, study, trial, distributions, names)
    waiting = [trial.point for trial in log.trials if not trial.finished]
    proposal: dict[str, Any] = {}

    def points() -> Iterator[Point]:
        yield from [trial.point for trial in earlier]
        yield from waiting
        while len(log.trials) < count:
            proposal["trial"] = trial_asked = study.ask(distributions)
            yield {axis.key: _text(axis, trial_asked.params[axis.key]) for axis in axes}

    def report(trial: Trial) -> None:
        waiting_trial = proposal.pop("trial", None)
        if waiting_trial is None:
            if trial not in earlier:
                _add_trial(optuna, study, trial, distributions, names)
            return
        if trial.state == "done":
            study.tell(waiting_trial, [statistics.fmean(trial.scores[name]) for name in names])
        else:
            pruned = trial.state == "pruned"
            state = optuna.trial.TrialState.PRUNED if pruned else optuna.trial.TrialState.FAIL
            study.tell(waiting_trial, state=state)

    def should_stop(trial: Trial) -> bool:
        waiting_trial = proposal.get("trial")
        if waiting_trial is None or len(names) > 1 or trial.folds == 0:
            return False
        waiting_trial.report(statistics.fmean(trial.scores[names[0]]), trial.folds - 1)
        return bool(waiting_trial.should_prune())

    return Proposals(points, report, should_stop)


def _distribution(optuna: Any, axis: Axis) -> Any:
    kinds = optuna.distributions
    if axis.values:
        return kinds.CategoricalDistribution(axis.values)
    if axis.is_whole:
        return kinds.IntDistribution(int(axis.low), int(axis.high), log=axis.logarithmic)
    return kinds.FloatDistribution(axis.low, axis.high, log=axis.logarithmic)


def _text(axis: Axis, value: Any) -> str:
    return str(value) if axis.values else axis.text(float(value))


def _add_trial(
    optuna: Any, study: Any, trial: Trial, distributions: dict[str, Any], names: tuple[str, ...]
) -> None:
    if trial.state != "done":
        return
    params = {}
    for key, distribution in distributions.items():
        value: Any = trial.point[key]
        if not isinstance(distribution, optuna.distributions.CategoricalDistribution):
            value = min(max(float(value), distribution.low), distribution.high)
            value = round(value) if isinstance(distribution, optuna.distributions.IntDistribution) else value
        params[key] = value
    steps = {n: statistics.fmean(trial.scores[names[0]][: n + 1]) for n in range(trial.folds)}
    study.add_trial(
        optuna.trial.create_trial(
            params=params,
            distributions=distributions,
            values=[statistics.fmean(trial.scores[name]) for name in names],
            intermediate_values=steps if len(names) == 1 else {},
        )
    )
