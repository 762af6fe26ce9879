"""Several recipes under one budget, on the same images, beside the baselines: which one to take.

Every contender trains for the same time (or steps) on the same training part with each seed, and is measured
on the same images that none has seen. Recipes with a corruption are measured, too, on images as they are.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isthmus.evaluation.drawing.pictures import scatter
from isthmus.evaluation.report.page import Report
from isthmus.evaluation.table import Evaluation, evaluate
from isthmus.images.named import is_name
from isthmus.images.reading import read
from isthmus.images.split import hold_out
from isthmus.images.store import ImageSet
from isthmus.metrics.registry import METRICS, label
from isthmus.threads import limited
from isthmus.training.api import train
from isthmus.training.prepare import settle_recipe
from isthmus.training.progress import Listener
from isthmus.wording import format_count

SCHEMA = "isthmus.compare/1"
TEST_SHARE = 0.2


@dataclass(frozen=True)
class Measured:
    """The mean of a number over seeds, and half the width of its 95 % interval (None for a single seed)."""

    mean: float
    half_width: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.half_width is None else f"{self.mean:.4g} ± {self.half_width:.2g}"


@dataclass(frozen=True)
class Contender:
    """One row: a recipe, or a baseline with the code size that it was given.

    Attributes:
        name: of the recipe, `PCA`, or `mean image`.
        code: shape of the code; numbers: how many numbers one image's code has, 0 for the mean image.
        parameters, steps, seconds: of training; None for a baseline.
        metrics: as `isthmus evaluate` names them.
    """

    name: str
    code: str
    numbers: int
    parameters: int | None
    steps: float | None
    seconds: float | None
    metrics: dict[str, Measured]


@dataclass(frozen=True)
class Comparison:
    """All rows, best squared error first, and what they were measured on."""

    contenders: tuple[Contender, ...]
    source: str
    training_images: int
    test_images: int
    seeds: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document of schema "isthmus.compare/1"."""
        return {"schema": SCHEMA, **asdict(self)}

    def table(self) -> tuple[list[str], list[list[str | float | None]]]:
        """Header and rows for people: the numbers that every row has."""
        shown = [name for name, metric in METRICS.items() if metric.in_short]
        shown = [name for name in shown if all(name in row.metrics for row in self.contenders)]
        shown.sort(key=lambda name: name != "mse")  # which rows are sorted by
        header = ["recipe", "code", "numbers", "parameters", "seconds", *map(label, shown)]
        rows: list[list[str | float | None]] = [
            [c.name, c.code, c.numbers, c.parameters, c.seconds, *(str(c.metrics[name]) for name in shown)]
            for c in self.contenders
        ]
        return header, rows

    def report(self) -> Report:
        """A page with the table and a picture of quality against the size of the code."""
        page = Report(
            "Recipes compared", f"{format_count(self.training_images, 'training image')} of {self.source}"
        )
        note = f"Measured on {format_count(self.test_images, 'image')} that none has seen."
        if len(self.seeds) > 1:
            note += f" Means over {len(self.seeds)} seeds with 95 % intervals."
        header, rows = self.table()
        page.table("Numbers", header, rows, note=note)
        caption = "Up and to the left is better; nothing lies above and to the left of a point on the line."
        page.picture(
            "Quality against code size", self.picture(), caption, "PSNR of each recipe against its code size"
        )
        return page

    def picture(self) -> bytes:
        """A PNG: PSNR of every row against the numbers of its code."""
        points = {
            c.name if c.steps is not None else f"{c.name} {c.numbers}": (
                float(c.numbers),
                c.metrics["psnr"].mean,
            )
            for c in self.contenders
            if c.numbers
        }
        return scatter(points, x_label="numbers per image", y_label="PSNR (dB)", log=True)


@limited()
def compare(
    data: Any,
    recipes: Sequence[str],
    *,
    test: Any = None,
    code: str | None = None,
    settings: Iterable[str] = (),
    seeds: Sequence[int] = (0,),
    listener: Callable[[str, int], Listener | None] = lambda _name, _seed: None,
    **options: Any,
) -> Comparison:
    """Train each recipe with each seed under the same budget and measure all of them on the same images.

    Args:
        data: images to train on.
        recipes: names, or recipe files.
        test: images to measure on; by default the test split of a named set, or a fifth of `data` held out by
            content before anything is trained.
        code, settings: the same for every recipe.
        seeds: one training each; with two or more, numbers get an interval.
        listener: called with a recipe's name and a seed, gives what is told about that training.
        options: length, size and so on, as for `isthmus.train`.

    Raises:
        UsageError, CapabilityError, DataError: as `isthmus.train`; all are read before the first trains.
    """
    chosen = [(name, settle_recipe(name, code, settings)) for name in recipes]
    training, held_back = _parts(data, test)
    contenders: list[Contender] = []
    baselines: dict[tuple[str, int], Contender] = {}
    for name, recipe in chosen:
        found: list[Evaluation] = []
        summaries: list[dict[str, Any]] = []
        for seed in seeds:
            model = train(training, recipe=recipe, seed=seed, listener=listener(name, seed), **options)
            found.append(evaluate(model, held_back, train=training))
            summaries.append(model.summary)
        numbers = model.recipe.geometry.numbers(model.size)
        contenders.append(
            Contender(
                name=name,
                code=model.recipe.code,
                numbers=numbers,
                parameters=sum(p.numel() for p in model.parameters()),
                steps=statistics.fmean(s["steps"] for s in summaries),
                seconds=statistics.fmean(s["seconds"] for s in summaries),
                metrics=_means([evaluation.clean or evaluation.metrics for evaluation in found]),
            )
        )
        if found[0].clean is None:  # under a corruption the baselines see corrupted images too
            for key, label, size in (("pca", "PCA", numbers), ("mean_image", "mean image", 0)):
                if key in found[0].baselines:
                    shape = model.recipe.code if size else "–"
                    metrics = _means([found[0].baselines[key]])
                    baselines[label, size] = Contender(label, shape, size, None, None, None, metrics)
    rows = sorted([*contenders, *baselines.values()], key=lambda row: row.metrics["mse"].mean)
    return Comparison(tuple(rows), training.source, len(training), len(held_back), tuple(seeds))


def _parts(data: Any, test: Any) -> tuple[ImageSet, ImageSet]:
    images = read(data)
    if test is not None:
        return images, read(test)
    named = isinstance(data, str) and not Path(data).exists() and is_name(data)
    if named and data.partition(":")[2] != "test":
        return images, read(f"{data.partition(':')[0]}:test")
    # Another seed than the validation split's, or the same images would be taken twice.
    kept, held_back = hold_out(images, TEST_SHARE, seed=1)
    return images.subset(kept), images.subset(held_back)


def _means(found: Sequence[dict[str, float]]) -> dict[str, Measured]:
    names = [name for name in found[0] if all(name in metrics for metrics in found)]
    return {name: _mean([metrics[name] for metrics in found]) for name in names}


def _mean(values: Sequence[float]) -> Measured:
    if len(values) < 2:
        return Measured(values[0], None)
    from scipy.stats import t

    spread = statistics.stdev(values) / len(values) ** 0.5
    return Measured(statistics.fmean(values), float(t.ppf(0.975, len(values) - 1)) * spread)
