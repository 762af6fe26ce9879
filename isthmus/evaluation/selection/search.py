"""`isthmus.tune`: cross-validated trainings over settings, until all are tried or the time is up."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from isthmus.errors import CapabilityError, IsthmusError, UsageError
from isthmus.evaluation.selection.folds import folds
from isthmus.evaluation.selection.log import Log, Trial, open_log
from isthmus.evaluation.selection.objectives import objective, score
from isthmus.evaluation.selection.outcome import Outcome
from isthmus.evaluation.selection.proposals import Proposals, fixed, from_optuna
from isthmus.evaluation.selection.space import Axis, check_axes, grid, parse_axis, randomly, settled
from isthmus.images.reading import read
from isthmus.images.store import ImageSet, Indices
from isthmus.locks import exclusive
from isthmus.model.recipe import Recipe
from isthmus.outputs import check_output
from isthmus.threads import limited
from isthmus.training.api import train
from isthmus.training.prepare import settle_recipe
from isthmus.wording import format_count

MINUTES = 0.5  # per training, where nothing else is said
SEARCHES = ("grid", "random", "optuna")

Listener = Callable[[Trial, int, int], None]


@limited()
def tune(
    data: Any,
    over: Sequence[str],
    *,
    recipe: str | Recipe = "conv",
    code: str | None = None,
    settings: Iterable[str] = (),
    objectives: Sequence[str] = ("reconstruction",),
    folds_count: int = 3,
    search: str = "grid",
    trials: int = 20,
    budget: float | None = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    listener: Listener = lambda _trial, _done, _total: None,
    **options: Any,
) -> Outcome:
    """Train a recipe with different settings on the same folds, and say which are best.

    Args:
        data: what `isthmus.read` takes.
        over: `KEY=V1,V2,…` or `KEY=LOW..HIGH`, keys as `--set` takes them, `code` among them.
        recipe, code, settings: what all trials have in common.
        objectives: one, or two for a Pareto front; see `objectives.score`.
        folds_count: at least 2.
        search: `grid` (every combination), `random`, or `optuna` (tree-structured Parzen estimator; with one
            objective, trials that are worse than the median after a fold are given up).
        trials: how many, unless it is a grid.
        budget: minutes for the whole search; no fold is begun after that. Without a length in `options` every
            training gets its share of it.
        seed: of folds, weights and random points.
        out: a log; a search that finds its own goes on from it.
        force: begin anew.
        listener: called after each fold with the trial, and how many trainings are done of how many.
        options: length, size and so on, as for `isthmus.train`.

    Raises:
        UsageError: an unknown key, value, objective or search; or the log is of another search.
        MissingExtraError: `optuna` is not installed.
    """
    chosen = settle_recipe(recipe, code, settings)
    axes = [parse_axis(text) for text in over]
    check_axes(chosen, axes)
    names = tuple(dict.fromkeys(objective(name) for name in objectives))
    _check(names, folds_count, search, trials, budget)
    images = read(data)
    parts = folds(images, folds_count, seed=seed)
    points = list(grid(axes)) if search == "grid" else []
    total = len(points) if search == "grid" else trials
    if not any(options.get(name) for name in ("epochs", "minutes", "steps")):
        share = MINUTES if budget is None else 0.9 * budget / (total * folds_count)
        options = {**options, "minutes": share}
    if out is not None:
        # An existing log is continued; whether it can be written is found out before the first training.
        check_output(out, force=True, stream=False)
    with nullcontext() if out is None else exclusive(out):
        log = open_log(
            out, _about(images, chosen, names, axes, folds_count, search, seed, options), force=force
        )
        if search == "random":
            points = list(randomly(axes, trials, seed))
        proposals = from_optuna(axes, names, trials, seed, log) if search == "optuna" else fixed(points)
        job = _Job(images, parts, chosen, names, seed, options, log, proposals)
        complete = job.run(total, budget, listener)
    return Outcome(
        recipe=chosen.name,
        source=images.source,
        images=len(images),
        folds=folds_count,
        objectives=names,
        trials=tuple(log.trials),
        complete=complete,
        seconds=sum(trial.seconds for trial in log.trials),
    )


@dataclasses.dataclass
class _Job:
    images: ImageSet
    parts: list[tuple[Indices, Indices]]
    recipe: Recipe
    names: tuple[str, ...]
    seed: int
    options: dict[str, Any]
    log: Log
    proposals: Proposals

    def run(self, total: int, budget: float | None, listener: Listener) -> bool:
        """Whether every trial was finished before the time was up."""
        until = None if budget is None else time.monotonic() + 60 * budget
        for number, point in enumerate(self.proposals.points()):
            trial = self.log.trial(point)
            while not trial.finished:
                if until is not None and time.monotonic() >= until:
                    return False
                self._fold(trial)
                if not trial.finished and self.proposals.hopeless(trial):
                    trial.state = "pruned"
                self.log.save()
                listener(trial, number * len(self.parts) + trial.folds, total * len(self.parts))
            self.proposals.told(trial)
        return True

    def _fold(self, trial: Trial) -> None:
        train_part, test_part = (self.images.subset(part) for part in self.parts[trial.folds])
        began = time.monotonic()
        try:
            recipe = settled(self.recipe, trial.point)
            model = train(train_part, recipe=recipe, seed=self.seed, **self.options)
        except (CapabilityError, UsageError) as error:
            trial.state, trial.why = "failed", error.message
            return
        except IsthmusError as error:  # a training that diverges is an answer too
            trial.state, trial.why = "failed", error.message
            return
        found = score(model, train_part, test_part, self.names)
        for name, value in found.items():
            trial.scores.setdefault(name, []).append(value)
        trial.seconds += time.monotonic() - began
        if trial.folds == len(self.parts):
            trial.state = "done"


def _check(names: tuple[str, ...], count: int, search: str, trials: int, budget: float | None) -> None:
    if not 1 <= len(names) <= 2:
        raise UsageError("give one objective, or two for a Pareto front")
    if count < 2:
        raise UsageError(f"{format_count(count, 'fold')}: cross-validation needs at least 2")
    if search not in SEARCHES:
        raise UsageError(f"search '{search}' is not known; known: {', '.join(SEARCHES)}")
    if trials < 1 or (budget is not None and budget <= 0):
        raise UsageError("trials and budget are positive")


def _about(
    images: ImageSet,
    recipe: Recipe,
    names: tuple[str, ...],
    axes: Sequence[Axis],
    count: int,
    search: str,
    seed: int,
    options: dict[str, Any],
) -> dict[str, Any]:
    # How many trials, and which values, may change between runs of one search: more can be asked for later.
    length = {key: value for key, value in options.items() if key in ("epochs", "steps")}
    return {
        "fingerprint": images.fingerprint(),
        "recipe": recipe.to_dict(),
        "objectives": list(names),
        "over": sorted(axis.key for axis in axes),
        "folds": count,
        "search": "optuna" if search == "optuna" else "points",
        "seed": seed,
        "length": {key: value for key, value in length.items() if value is not None},
    }
