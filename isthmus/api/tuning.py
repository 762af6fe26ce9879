"""Settings of a recipe compared by cross-validation, until all are tried or the time is up."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from isthmus.api.inputs import (
    DataLike,
    PathLike,
    Range,
    Size,
    check_choice,
    check_count,
    read_images,
    refuse_unused,
)
from isthmus.api.result import skipped_inputs, use
from isthmus.api.trial_training import TrialLength, train_trial
from isthmus.api.tuning_results import TrialResult, TuningResult, label_settings
from isthmus.errors import Hint, IsthmusError, UsageError
from isthmus.images.reading_notes import report_reading
from isthmus.interruption import Interruption, undivided
from isthmus.locks import exclusive
from isthmus.log import LOGGER
from isthmus.old_keywords import rename_keywords
from isthmus.outputs import check_output
from isthmus.progress import Progress, Task, start_task

if TYPE_CHECKING:
    from isthmus.evaluation.selection.trials import Log, Proposals, Trial
    from isthmus.images.store import ImageSet, Indices
    from isthmus.model.recipe import Recipe

SearchKind = Literal["grid", "random", "optuna"]
DEFAULT_TRIAL_MINUTES = 0.5
_BUDGET_SHARE = 0.9  # of the whole time, for trainings; the rest is for measuring

DEFAULT_TRIALS = 20


@rename_keywords(folds_count="folds", out="log")
@use
def tune(
    data: DataLike,
    over: Sequence[str],
    *,
    recipe: str | Recipe = "conv",
    code: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    objectives: Sequence[str] = ("reconstruction",),
    folds: int = 3,
    search: SearchKind = "grid",
    trials: int = DEFAULT_TRIALS,
    budget: float | None = None,
    epochs: float | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    size: Size | None = None,
    limit: int | None = None,
    range: Range | None = None,
    groups: PathLike | None = None,
    log: PathLike | None = None,
    force: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> TuningResult:
    """Train a recipe with different settings on the same folds, and find the best ones.

    Every trial is trained and measured on the same folds. With a log, the same call continues after an
    interruption, or with more values.

    Args:
        data: images: a folder, file, archive, array, named set, or a list of those.
        over: `KEY=V1,V2,…` or a range `KEY=LOW..HIGH`; keys as in a recipe's settings, `code` among them.
        recipe: what all trials start from.
        code: shape of the code: `64` is a vector, `32@8` a grid at 1/8 of the image's size.
        settings: change a setting of every trial, such as `backbone.width=64`.
        objectives: `reconstruction`, `probe`, `rate`, `sparsity`, `numbers`, or any metric of `evaluate`; two
            give a Pareto front.
        folds: of the cross-validation, at least 2.
        search: `grid` tries every combination, `random` draws points, `optuna` learns from the trials before
            (tree-structured Parzen estimator) and, with one objective, gives up trials that are worse than
            the median after a fold.
        trials: how many points; not for a grid.
        budget: minutes for everything; no fold begins after that.
        epochs: length of each training in passes over the images.
        minutes: length of each training in time; by default, without any length, its share of the budget,
            or half a minute.
        steps: length of each training in steps.
        size: resize every image to this height and width in pixels.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        groups: images that are held out together, such as those of one patient: a file with lines
            `name,group`, or a regular expression for names whose first group it is; by default those that a
            list of the images names.
        log: a file with a line per trial, from which the same search continues.
        force: start again where a log exists.
        seed: of folds, weights and random points.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown key, value, objective or search; or the log is of another search.
        DataError: unreadable images, or `probe` without labels.
        MissingExtraError: `optuna` is not installed.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> found = isthmus.tune(images, ["code=4,8"], recipe="dense", folds=2, steps=2)
        >>> found.best in found.front
        True
    """
    from isthmus.evaluation.selection.objectives import resolve_objective
    from isthmus.evaluation.selection.objectives import split_folds as split_folds
    from isthmus.evaluation.selection.space import check_axes, iter_grid, iter_random, parse_axis
    from isthmus.evaluation.selection.trials import open_log, propose_fixed, propose_with_optuna
    from isthmus.images.grouping import group_images, number_groups
    from isthmus.model.recipes import resolve_recipe

    lines = dict(settings) if isinstance(settings, Mapping) else tuple(settings)
    chosen = resolve_recipe(recipe, code, lines)
    axes = [parse_axis(text) for text in over]
    check_axes(chosen, axes)
    names = tuple(dict.fromkeys(resolve_objective(name) for name in objectives))
    _check(names, folds, search, trials, budget)
    images = read_images(data, limit=limit, range=range)
    images = group_images(images, None if groups is None else os.fspath(groups))
    report_reading(images)
    numbers = number_groups(images)
    parts = split_folds(images, folds, seed=seed, groups=numbers)
    points = list(iter_grid(axes)) if search == "grid" else []
    total = len(points) if search == "grid" else trials
    length = TrialLength(epochs, minutes, steps, size)
    # How many trials, and which values, may change between runs of one search: more can be asked for later.
    lengths = {"epochs": epochs, "steps": steps}
    about = {
        "fingerprint": images.fingerprint(),
        "recipe": chosen.to_dict(),
        "objectives": list(names),
        "over": sorted(axis.key for axis in axes),
        "folds": folds,
        "search": "optuna" if search == "optuna" else "points",
        "seed": seed,
        "length": {key: value for key, value in lengths.items() if value is not None},
    }
    if numbers is not None:
        about["groups"] = _fingerprint_groups(images, numbers)
    if not length.is_given:
        share = DEFAULT_TRIAL_MINUTES if budget is None else _BUDGET_SHARE * budget / (total * folds)
        length = dataclasses.replace(length, minutes=share)
    if log is not None:
        # An existing log is continued; whether it can be written is found out before the first training.
        check_output(log, force=True, stream=False)
    with nullcontext() if log is None else exclusive(log):
        trial_log = open_log(log, about, force=force)
        if search == "random":
            points = list(iter_random(axes, trials, seed))
        proposals = (
            propose_with_optuna(axes, names, trials, seed, trial_log)
            if search == "optuna"
            else propose_fixed(points)
        )
        job = _Job(images, parts, chosen, names, seed, length, trial_log, proposals)
        stop = Interruption()
        in_time = True
        with stop, start_task(progress, "tuning", total * folds, "trainings") as task:
            in_time = job.run(budget, task)
        then = "" if log is None else f"the same call goes on from {os.fspath(log)}"
        stop.check(job.done, total * folds, "training", then=then)
    results = [_describe_trial(trial, names) for trial in trial_log.trials]
    return TuningResult(
        recipe=chosen.name,
        data=images.source,
        images=len(images),
        folds=folds,
        objectives=names,
        complete=in_time and stop.complete,
        seconds=round(sum(trial.seconds for trial in trial_log.trials), 2),
        trials=tuple(_rank(results, names[0])),
        log=None if log is None else os.fspath(log),
        skipped=skipped_inputs(images.skipped),
    )


@dataclass
class _Job:
    images: ImageSet
    parts: list[tuple[Indices, Indices]]
    recipe: Recipe
    names: tuple[str, ...]
    seed: int
    length: TrialLength
    log: Log
    proposals: Proposals
    done: int = 0  # trainings, of the trials of this call

    def run(self, budget: float | None, task: Task) -> bool:
        """Whether every trial was finished before the time was up."""
        until = None if budget is None else time.monotonic() + 60 * budget
        for number, point in enumerate(self.proposals.points()):
            trial = self.log.trial(point)
            while not trial.finished:
                if until is not None and time.monotonic() >= until:
                    return False
                self._train_fold(trial)
                if not trial.finished and self.proposals.should_stop(trial):
                    trial.state = "pruned"
                self.log.save()
                self.done = number * len(self.parts) + trial.folds
                self._report(trial, task)
            self.done = len(self.parts) * (number + 1)
            self.proposals.report(trial)
        return True

    def _train_fold(self, trial: Trial) -> None:
        from isthmus.evaluation.selection.objectives import score_trial
        from isthmus.evaluation.selection.space import apply_point

        train_part, test_part = (self.images.subset(part) for part in self.parts[trial.folds])
        began = time.monotonic()
        try:
            recipe = apply_point(self.recipe, trial.point)
            model = train_trial(train_part, recipe, self.length, seed=self.seed)
        except IsthmusError as error:  # settings that cannot work, or a training that diverges: a result too
            trial.state, trial.why = "failed", error.message
            return
        scores = score_trial(model, train_part, test_part, self.names)
        with undivided():
            for name, value in scores.items():
                trial.scores.setdefault(name, []).append(value)
            trial.seconds += time.monotonic() - began
            if trial.folds == len(self.parts):
                trial.state = "done"

    def _report(self, trial: Trial, task: Task) -> None:
        from isthmus.evaluation.selection.objectives import format_scores

        scores = "  ".join(f"{name} {format_scores(values)}" for name, values in trial.scores.items())
        label = label_settings(trial.point)
        task.update(self.done, f"{label}  {scores}")
        if trial.finished:
            LOGGER.info("%s: %s (%s, %.0f s)", label, scores or trial.why, trial.state, trial.seconds)


def _check(names: tuple[str, ...], folds: int, search: str, trials: int, budget: float | None) -> None:
    if not 1 <= len(names) <= 2:
        raise UsageError("give one objective, or two for a Pareto front", id="tune.objectives")
    check_count("folds", folds, least=2)
    check_choice("search", search, get_args(SearchKind))
    check_count("trials", trials)
    if search == "grid" and trials != DEFAULT_TRIALS:
        refuse_unused("trials", "on a grid, which has as many as its values", hint=Hint.add(search="random"))
    if budget is not None and budget <= 0:
        raise UsageError(
            "budget={budget}: expected a number of minutes above 0", id="tune.budget", budget=budget
        )


def _fingerprint_groups(images: ImageSet, numbers: Indices) -> str:
    """What the folds depend on besides the images, in any order of them."""
    import numpy as np

    from isthmus.images.subsets import group_contents

    smallest, part, _ = group_contents(images, numbers)
    return hashlib.blake2b(np.sort(smallest[part]).astype("<u8").tobytes(), digest_size=8).hexdigest()


def _describe_trial(trial: Trial, names: Sequence[str]) -> TrialResult:
    return TrialResult(
        settings=trial.point,
        state=trial.state,  # type: ignore[arg-type]
        why=trial.why,
        seconds=round(trial.seconds, 2),
        scores={name: tuple(values) for name, values in trial.scores.items()},
        means={name: statistics.fmean(trial.scores[name]) for name in names if trial.scores},
    )


def _rank(trials: Sequence[TrialResult], name: str) -> list[TrialResult]:
    from isthmus.evaluation.selection.objectives import is_maximised

    finished = [trial for trial in trials if trial.state == "done"]
    finished.sort(key=lambda trial: -trial.means[name] if is_maximised(name) else trial.means[name])
    return [*finished, *(trial for trial in trials if trial.state != "done")]
