"""What a search found: trials in order, the best one or a Pareto front, a table, a picture, a page."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from isthmus.evaluation.drawing.pictures import scatter
from isthmus.evaluation.report.page import Cell, Report
from isthmus.evaluation.selection.log import Trial
from isthmus.evaluation.selection.objectives import better, is_maximised
from isthmus.wording import format_count

SCHEMA = "isthmus.tune/1"


@dataclass(frozen=True)
class Outcome:
    """Everything that was tried.

    Attributes:
        recipe, source, images, folds, objectives: what was searched.
        trials: in the order in which they were begun.
        complete: whether the search came to its end; otherwise the time was up.
        seconds: of training and measuring, over all runs of this search.
    """

    recipe: str
    source: str
    images: int
    folds: int
    objectives: tuple[str, ...]
    trials: tuple[Trial, ...]
    complete: bool
    seconds: float

    def ranked(self) -> list[Trial]:
        """Trials with every fold, best first by the first objective."""
        done = [trial for trial in self.trials if trial.state == "done"]
        name = self.objectives[0]
        return sorted(done, key=lambda t: -_mean(t, name) if is_maximised(name) else _mean(t, name))

    def front(self) -> list[Trial]:
        """The trials that no other beats in every objective; of one objective the best alone."""
        ranked = self.ranked()
        return [trial for trial in ranked if not any(self._beats(other, trial) for other in ranked)]

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.tune/1"."""
        ranked, front = self.ranked(), self.front()
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "data": self.source,
            "images": self.images,
            "folds": self.folds,
            "objectives": list(self.objectives),
            "complete": self.complete,
            "seconds": round(self.seconds, 2),
            "best": front[0].point if front else None,
            "front": [trial.point for trial in front],
            "trials": [
                {
                    "settings": trial.point,
                    "state": trial.state,
                    "why": trial.why,
                    "seconds": round(trial.seconds, 2),
                    "scores": trial.scores,
                    "means": {name: _mean(trial, name) for name in self.objectives if trial.scores},
                }
                for trial in [*ranked, *(t for t in self.trials if t.state != "done")]
            ],
        }

    def table(self) -> tuple[list[str], list[list[Cell]]]:
        """Header and rows: settings, means with 95 % intervals over folds, what is on the front."""
        keys = list(self.trials[0].point) if self.trials else []
        front = self.front()
        rows: list[list[Cell]] = [
            [
                *(trial.point[key] for key in keys),
                *(shown(trial.scores.get(name, [])) for name in self.objectives),
                round(trial.seconds, 1),
                ("best" if len(self.objectives) == 1 else "front") if trial in front else trial.state,
            ]
            for trial in [*self.ranked(), *(t for t in self.trials if t.state != "done")]
        ]
        return [*keys, *self.objectives, "seconds", ""], rows

    def picture(self) -> bytes | None:
        """A PNG of two objectives against each other; None for one, or where nothing is done."""
        done = self.ranked()
        if len(self.objectives) < 2 or not done:
            return None
        first, second = self.objectives
        names = {label(trial): trial for trial in done}
        points = {name: (_mean(trial, first), _mean(trial, second)) for name, trial in names.items()}
        front = [name for name, trial in names.items() if trial in self.front()]
        return scatter(points, x_label=first, y_label=second, front=front)

    def page(self) -> Report:
        """The table and, for two objectives, the front."""
        page = Report(
            f"Settings of {self.recipe} compared",
            f"{format_count(self.images, 'image')} of {self.source}, {format_count(self.folds, 'fold')}",
        )
        header, rows = self.table()
        note = "Means over folds, with 95 % intervals; every trial saw the same folds."
        page.table("Trials", header, rows, note=note)
        drawn = self.picture()
        if drawn is not None:
            page.picture(
                "Front",
                drawn,
                "No trial on the line is beaten in both.",
                "Trials as points, the front as a line",
            )
        failed = [[label(t), t.why] for t in self.trials if t.why]
        if failed:
            page.table("Failed", ["settings", "why"], failed)
        return page

    def _beats(self, one: Trial, other: Trial) -> bool:
        pairs = [(name, _mean(one, name), _mean(other, name)) for name in self.objectives]
        return any(better(*pair) for pair in pairs) and not any(better(n, b, a) for n, a, b in pairs)


def label(trial: Trial) -> str:
    """A trial's settings in a few words."""
    return " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in trial.point.items())


def shown(values: list[float]) -> str:
    """Mean and half the width of its 95 % interval over folds."""
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.4g}"
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.4g} ± {half:.2g}"


def _mean(trial: Trial, name: str) -> float:
    return statistics.fmean(trial.scores[name])
