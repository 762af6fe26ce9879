"""Everything that a search over settings has tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from isthmus.api.result import Result, keys
from isthmus.wording import format_count

TrialState = Literal["running", "done", "pruned", "failed"]


@dataclass(frozen=True)
class TrialResult:
    """One point of the search.

    Attributes:
        settings: by key.
        state: `done`, `failed`, `pruned`, or `running` where the time was up.
        why: it failed; empty otherwise.
        seconds: of training and measuring.
        scores: objective -> a value per fold.
        means: objective -> mean over folds.
    """

    settings: Mapping[str, str]
    state: TrialState
    why: str
    seconds: float
    scores: Mapping[str, tuple[float, ...]]
    means: Mapping[str, float]

    @property
    def label(self) -> str:
        """The settings in a few words."""
        return label_settings(self.settings)


@dataclass(frozen=True, kw_only=True, repr=False)
class TuningResult(Result):
    """Everything that a search has tried.

    Attributes:
        recipe: what all trials start from.
        data: source of the images.
        images: number of images.
        folds: of the cross-validation.
        objectives: what trials are judged by.
        complete: whether the search came to its end; otherwise the time was up, or it was interrupted.
        seconds: of training and measuring, over all runs of this search.
        best: settings of the best trial, or null.
        front: settings of the trials that no other beats in every objective; of one objective the best alone.
        trials: finished ones first, best first by the first objective.
        log: path of the log, or null.
    """

    schema: ClassVar[str] = "isthmus.tune/1"
    document: ClassVar = keys("recipe data images folds objectives complete seconds best front trials log")
    formats: ClassVar = (".html", ".csv", ".json")

    recipe: str
    data: str
    images: int
    folds: int
    objectives: tuple[str, ...]
    complete: bool
    seconds: float
    trials: tuple[TrialResult, ...] = field(repr=False)
    log: str | None = None

    @property
    def best(self) -> Mapping[str, str] | None:
        return self.front[0] if self.front else None

    @property
    def front(self) -> tuple[Mapping[str, str], ...]:
        return tuple(trial.settings for trial in self.front_trials())

    def front_trials(self) -> list[TrialResult]:
        """The trials of `front`, best first by the first objective."""
        from isthmus.evaluation.selection.objectives import is_better

        def beats(trial: TrialResult, other: TrialResult) -> bool:
            pairs = [(name, trial.means[name], other.means[name]) for name in self.objectives]
            return any(is_better(*pair) for pair in pairs) and not any(
                is_better(n, b, a) for n, a, b in pairs
            )

        finished = [trial for trial in self.trials if trial.state == "done"]
        return [trial for trial in finished if not any(beats(other, trial) for other in finished)]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        """Settings, means with 95 % intervals over folds, and which trials are on the front."""
        from isthmus.evaluation.selection.objectives import format_scores

        keys = list(self.trials[0].settings) if self.trials else []
        front = self.front_trials()
        rows: list[list[object]] = [
            [
                *(trial.settings[key] for key in keys),
                *(format_scores(trial.scores.get(name, ())) for name in self.objectives),
                round(trial.seconds, 1),
                ("best" if len(self.objectives) == 1 else "front") if trial in front else trial.state,
            ]
            for trial in self.trials
        ]
        return [*keys, *self.objectives, "seconds", ""], rows

    def summary(self) -> str:
        if self.complete or self.interruption is not None:
            return ""
        text = f"the time was up after {format_count(len(self.trials), 'trial')}"
        return text + (f": the same call goes on from {self.log}" if self.log else "")

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """A row for each trial: its settings, the mean of each objective, `seconds` and `state`."""
        keys = list(self.trials[0].settings) if self.trials else []
        return [*keys, *self.objectives, "seconds", "state"], [
            [
                *(trial.settings[key] for key in keys),
                *(trial.means.get(name, "") for name in self.objectives),
                trial.seconds,
                trial.state,
            ]
            for trial in self.trials
        ]

    def page(self) -> str:
        """The table and, for two objectives, a picture of the front."""
        from isthmus.reports.charts import draw_scatter
        from isthmus.reports.page import Report

        page = Report(
            f"Settings of {self.recipe} compared",
            f"{format_count(self.images, 'image')} of {self.data}, {format_count(self.folds, 'fold')}",
        )
        note = "Means over folds, with 95 % intervals; every trial saw the same folds."
        page.table("Trials", *self.rows(), note=note)
        finished = [trial for trial in self.trials if trial.state == "done"]
        if len(self.objectives) == 2 and finished:
            first, second = self.objectives
            points = {trial.label: (trial.means[first], trial.means[second]) for trial in finished}
            front = [trial.label for trial in self.front_trials()]
            page.picture(
                "Front",
                draw_scatter(points, x_label=first, y_label=second, front=front),
                "No trial on the line is beaten in both.",
                "Trials as points, the front as a line",
            )
        failed = [[trial.label, trial.why] for trial in self.trials if trial.why]
        if failed:
            page.table("Failed", ["settings", "why"], failed)
        return page.html()


def label_settings(settings: Mapping[str, str]) -> str:
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())
