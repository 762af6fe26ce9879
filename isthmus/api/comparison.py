"""Several recipes under one budget, on the same images: which one to take.

Every recipe trains for the same time (or steps) on the same images with each seed, and is measured on the
same unseen images. Recipes with a corruption are measured on images as they are.
"""

from __future__ import annotations

import builtins
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.inputs import DataLike, PathLike, Range, Size, check_count, read_images
from isthmus.api.result import PictureResult, skipped_inputs, use
from isthmus.api.trial_training import TrialLength, train_trial
from isthmus.errors import Hint, UsageError
from isthmus.images.reading_notes import report_reading
from isthmus.interruption import Interruption
from isthmus.progress import SILENT, Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.api.facts import ModelFacts
    from isthmus.images.store import ImageSet
    from isthmus.model.recipe import Recipe

TEST_SHARE = 0.2
MAX_SEEDS = 100


@dataclass(frozen=True)
class MeanOverSeeds:
    """The mean of a number over seeds.

    Attributes:
        mean: over seeds.
        half_width: half the width of its 95 % interval; null for a single seed.
    """

    mean: float
    half_width: float | None

    def __str__(self) -> str:
        return f"{self.mean:.4g}" if self.half_width is None else f"{self.mean:.4g} ± {self.half_width:.2g}"


@dataclass(frozen=True)
class ContenderRow:
    """One row: a recipe, or a baseline with the size of code that it was given.

    Attributes:
        name: of the recipe, `PCA`, or `mean image`.
        code: shape of the code.
        numbers: in the code of one image, 0 for the mean image.
        parameters: that were trained; null for a baseline.
        steps: of training; null for a baseline.
        seconds: of training; null for a baseline.
        metrics: by the names of `evaluate`, each `mean` and `half_width` over seeds.
        trainings: number of trainings that these are means over; null for a baseline.
    """

    name: str
    code: str
    numbers: int
    parameters: int | None
    steps: float | None
    seconds: float | None
    metrics: Mapping[str, MeanOverSeeds]
    trainings: int | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(PictureResult):
    """Recipes and baselines, measured on the same images.

    Attributes:
        contenders: recipes and baselines, smallest squared error first.
        source: where the training images come from.
        training_images: number of images to train on.
        test_images: number of images to measure on.
        seeds: of the trainings of each recipe.
    """

    schema: ClassVar[str] = "isthmus.compare/1"
    formats: ClassVar = (".html", ".csv", ".json", ".png")

    contenders: tuple[ContenderRow, ...]
    source: str
    training_images: int
    test_images: int
    seeds: tuple[int, ...] = field(default=(0,))

    def rows(self) -> tuple[list[str], list[list[object]]]:
        from isthmus.metrics.registry import METRICS, label

        short = (name for name, metric in METRICS.items() if metric.in_short)
        columns = [name for name in short if all(name in row.metrics for row in self.contenders)]
        columns.sort(key=lambda name: name != "mse")  # first what rows are sorted by
        titles = map(label, columns)
        rows: list[list[object]] = [
            [
                c.name,
                c.code,
                c.numbers,
                c.parameters,
                c.seconds,
                *(_cell(c.metrics[name]) for name in columns),
            ]
            for c in self.contenders
        ]
        return ["recipe", "code", "numbers", "parameters", "seconds", *titles], rows

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """A row for each recipe and baseline, with the mean of each metric and half its interval."""
        names = list(dict.fromkeys(name for row in self.contenders for name in row.metrics))
        header = ["recipe", "code", "numbers", "parameters", "steps", "seconds"]
        header += [column for name in names for column in (name, f"{name}_half_width")]
        rows: list[list[object]] = []
        for c in self.contenders:
            means = [c.metrics.get(name) for name in names]
            values = [value for m in means for value in ((m.mean, m.half_width) if m else (None, None))]
            facts = (c.name, c.code, c.numbers, c.parameters, c.steps, c.seconds)
            rows.append(["" if value is None else value for value in (*facts, *values)])
        return header, rows

    def draw(self, scale: int | None = None) -> bytes:
        """PSNR of every row against the numbers of its code."""
        from isthmus.reports.charts import draw_scatter

        points = {
            c.name if c.steps is not None else f"{c.name} {c.numbers}": (
                float(c.numbers),
                c.metrics["psnr"].mean,
            )
            for c in self.contenders
            if c.numbers
        }
        return draw_scatter(
            points, x_label="numbers per image", y_label="PSNR (dB)", log=True, scale=scale or 1
        )

    def page(self) -> str:
        """The table, and quality against the size of the code."""
        from isthmus.reports.page import Report

        page = Report(
            "Recipes compared", f"{format_count(self.training_images, 'training image')} of {self.source}"
        )
        note = f"Measured on {format_count(self.test_images, 'image')} that none has seen."
        if len(self.seeds) > 1:
            note += f" Means over {len(self.seeds)} seeds with 95 % intervals."
        page.table("Numbers", *self.rows(), note=note)
        caption = "Up and to the left is better; nothing lies above and to the left of a point on the line."
        page.picture(
            "Quality against code size", self.draw(), caption, "PSNR of each recipe against its code size"
        )
        return page.html()


@use
def compare(
    data: DataLike,
    recipes: Sequence[str | Recipe],
    *,
    test: DataLike | None = None,
    code: str | None = None,
    settings: Mapping[str, Any] | Sequence[str] = (),
    epochs: float | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    size: Size | None = None,
    limit: int | None = None,
    range: Range | None = None,
    groups: PathLike | None = None,
    seeds: int = 1,
    progress: Progress | None = None,
) -> Comparison:
    """Train several recipes in the same way and measure all of them on the same unseen images.

    PCA with a code of the same size and the mean image are in the same table. With two or more seeds every
    number is a mean with its 95 % interval.

    Args:
        data: images to train on: a folder, file, archive, array, named set, or a list of those.
        recipes: names of recipes, or recipe files.
        test: images to measure on; by default the test split of a named set, else a fifth of the images,
            held out by content before anything is trained.
        code: the same code for all: `64` is a vector, `32@8` a grid at 1/8 of the image's size.
        settings: change a setting of every recipe, such as `backbone.width=64`.
        epochs: length of each training in passes over the images.
        minutes: length of each training in time; by default, without any length, the recipe's, or 5;
            for `generative` 20.
        steps: length of each training in steps.
        size: resize every image to this height and width in pixels.
        limit: train on at most this many images, and measure on at most this many, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        groups: images that are held out together, such as those of one patient: a file with lines
            `name,group`, or a regular expression for names whose first group it is; by default those that a
            list of the images names.
        seeds: trainings per recipe, 1 to 100.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError, CapabilityError, DataError: see `isthmus.train`; all recipes are read before the first
            trains.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> found = isthmus.compare(images, ["dense", "conv"], code="8", steps=2)
        >>> sorted(row.name for row in found.contenders)
        ['PCA', 'conv', 'dense', 'mean image']
    """
    from isthmus.api.evaluation import evaluate
    from isthmus.model.recipes import resolve_recipe

    check_count("seeds", seeds)
    if seeds > MAX_SEEDS:
        raise UsageError(
            "seeds={seeds}: at most {most} trainings per recipe",
            id="compare.seeds",
            seeds=seeds,
            most=MAX_SEEDS,
        )
    if isinstance(recipes, str) or not recipes:
        raise UsageError(
            "several recipes are expected", id="compare.no-recipes", hint=Hint.call("list_recipes")
        )
    lines = dict(settings) if isinstance(settings, Mapping) else tuple(settings)
    chosen = [resolve_recipe(recipe, code, lines) for recipe in recipes]
    together = None if groups is None else os.fspath(groups)
    training, held_back, skipped = _split(data, test, limit, range, together)
    length = TrialLength(epochs, minutes, steps, size)
    trained: list[tuple[str, list[_Trained]]] = []
    stop = Interruption()
    with stop:
        for recipe_or_name, recipe in zip(recipes, chosen, strict=True):
            trained.append((recipe_or_name if isinstance(recipe_or_name, str) else recipe_or_name.name, []))
            for seed in builtins.range(seeds):
                label = f"{trained[-1][0]}, seed {seed}" if seeds > 1 else trained[-1][0]
                with start_task(progress, label, 1.0) as task:
                    model = train_trial(training, recipe, length, seed=seed, report=task.update)
                measured = evaluate(model, held_back, reference=training, progress=SILENT)
                trained_model = _Trained(
                    facts=measured.model,
                    numbers=model.recipe.geometry.numbers(model.size),
                    metrics=measured.clean or measured.metrics,
                    baselines=measured.baselines if measured.clean is None else {},
                )
                trained[-1][1].append(trained_model)
    trained = [(name, models) for name, models in trained if models]
    stop.check(sum(len(models) for _, models in trained), seeds * len(recipes), "training")
    rows = [_describe_contender(name, models) for name, models in trained]
    baselines: dict[tuple[str, int], ContenderRow] = {}
    for row, (_, models) in zip(rows, trained, strict=True):
        for key, title, numbers in (("pca", "PCA", row.numbers), ("mean_image", "mean image", 0)):
            if key in models[0].baselines:
                metrics = _means([models[0].baselines[key]])
                shape = row.code if numbers else "–"
                baselines[title, numbers] = ContenderRow(title, shape, numbers, None, None, None, metrics)
    return Comparison(
        contenders=tuple(sorted([*rows, *baselines.values()], key=lambda row: row.metrics["mse"].mean)),
        source=training.source,
        training_images=len(training),
        test_images=len(held_back),
        seeds=tuple(builtins.range(seeds)),
        skipped=skipped,
        complete=stop.complete,
    )


@dataclass(frozen=True)
class _Trained:
    """One trained and measured model; without `baselines` under a corruption: these get corrupted images."""

    facts: ModelFacts
    numbers: int
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]


def _describe_contender(name: str, models: Sequence[_Trained]) -> ContenderRow:
    facts = [trained.facts for trained in models]
    return ContenderRow(
        name=name,
        code=facts[0].code,
        numbers=models[0].numbers,
        parameters=facts[0].parameters,
        steps=statistics.fmean(fact.steps or 0 for fact in facts),
        seconds=statistics.fmean(fact.training_seconds or 0 for fact in facts),
        metrics=_means([trained.metrics for trained in models]),
        trainings=len(models),
    )


def _split(
    data: DataLike,
    test: DataLike | None,
    limit: int | None,
    range: Range | None,
    groups: str | None,
) -> tuple[ImageSet, ImageSet, tuple[Any, ...]]:
    """Images to train on, images to measure on, and what was left out of both."""
    from isthmus.images.grouping import group_images, number_groups
    from isthmus.images.named import is_name
    from isthmus.images.subsets import hold_out

    images = group_images(read_images(data, limit=limit, range=range), groups)
    report_reading(images)
    named = isinstance(data, str) and not Path(data).exists() and is_name(data)
    if test is None and named and data.partition(":")[2] != "test":
        test = f"{data.partition(':')[0]}:test"
    other = None if test is None else read_images(test, limit=limit, range=range)
    skipped = skipped_inputs(images.skipped, () if other is None else other.skipped)
    if other is None:
        # Another seed than the validation split's, or the same images would be taken twice.
        training_rows, test_rows = hold_out(images, TEST_SHARE, seed=1, groups=number_groups(images))
        images, other = images.subset(training_rows), images.subset(test_rows)
    # What was left out is reported once, not again by each evaluation.
    return replace(images, skipped=(), notes=()), replace(other, skipped=(), notes=()), skipped


def _means(metrics_by_seed: Sequence[Mapping[str, float]]) -> dict[str, MeanOverSeeds]:
    names = [name for name in metrics_by_seed[0] if all(name in metrics for metrics in metrics_by_seed)]
    return {name: _mean([metrics[name] for metrics in metrics_by_seed]) for name in names}


def _mean(values: Sequence[float]) -> MeanOverSeeds:
    if len(values) < 2:
        return MeanOverSeeds(values[0], None)
    from scipy.stats import t

    spread = statistics.stdev(values) / len(values) ** 0.5
    return MeanOverSeeds(statistics.fmean(values), float(t.ppf(0.975, len(values) - 1)) * spread)


def _cell(value: MeanOverSeeds) -> float | str:
    return value.mean if value.half_width is None else str(value)
