"""Which point comes next: from a list, or from optuna, which learns from the ones before."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

from isthmus.errors import MissingExtraError
from isthmus.evaluation.selection.log import Log, Trial
from isthmus.evaluation.selection.objectives import is_maximised
from isthmus.evaluation.selection.space import Axis, Point

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
    asked: dict[str, Any] = {}

    def points() -> Iterator[Point]:
        yield from [trial.point for trial in earlier]
        yield from waiting
        while len(log.trials) < count:
            asked["trial"] = trial_asked = study.ask(distributions)
            yield {axis.key: _text(axis, trial_asked.params[axis.key]) for axis in axes}

    def report(trial: Trial) -> None:
        waiting_trial = asked.pop("trial", None)
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
        waiting_trial = asked.get("trial")
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
