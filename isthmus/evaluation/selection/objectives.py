"""K-fold cross-validation by content: copies of one image stay in one fold, in any order of the images."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence

import numpy as np

from isthmus.errors import DataError, UsageError, nearest
from isthmus.evaluation.measure import Evaluator
from isthmus.images.store import ImageSet, Indices
from isthmus.images.subsets import group_contents, sample_evenly
from isthmus.metrics.registry import METRICS
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import encode_set
from isthmus.wording import format_count


def split_folds(
    images: ImageSet, count: int, *, seed: int = 0, groups: Indices | None = None
) -> list[tuple[Indices, Indices]]:
    """`count` pairs (train, test) of ascending indices; every image is in one test part.

    Classes are spread evenly over the folds as far as copies and groups allow.

    Args:
        groups: `(N,)` numbers of what must not be parted; see `isthmus.images.grouping`.

    Raises:
        DataError: fewer different images, or groups, than folds.
    """
    _, group, _ = group_contents(images, groups)
    _, first = np.unique(group, return_index=True)
    if len(first) < count:
        raise DataError(
            "{source} has {images}: too few for {count} folds",
            id="tune.too-few-images",
            source=images.source,
            images=format_count(len(first), "different image" if groups is None else "group"),
            count=count,
        )
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(first))
    if images.labels is not None:
        shuffled = shuffled[np.argsort(images.labels[first[shuffled]], kind="stable")]
    of_group = np.empty(len(first), dtype=np.int64)
    of_group[shuffled] = np.arange(len(first)) % count
    fold = of_group[group]
    return [
        (np.flatnonzero(fold != n).astype(np.int64), np.flatnonzero(fold == n).astype(np.int64))
        for n in range(count)
    ]


PROBE_IMAGES = 3000

SEED = 0


def resolve_objective(name: str) -> str:
    """The metric's own name: `reconstruction` is `mse`, `rate` is `rate_bpp`, `sparsity` is `nonzero`."""
    return _objective_words().get(name.strip(), name.strip())


def is_maximised(name: str) -> bool:
    """Whether a search makes this metric large; else it makes it small."""
    return name in METRICS and METRICS[name].better == "higher"


def is_better(name: str, value: float, other: float) -> bool:
    """Whether `value` is better than `other`."""
    return value > other if is_maximised(name) else value < other


def _objective_words() -> dict[str, str]:
    """Plain words for objectives → the metrics they mean."""
    return {metric.objective: name for name, metric in METRICS.items() if metric.objective}


def score_trial(
    model: Autoencoder, train: ImageSet, test: ImageSet, names: tuple[str, ...]
) -> dict[str, float]:
    """The named objectives of a trained model on images it has not seen.

    `probe` is the accuracy of a logistic regression on codes of at most 3,000 training images; `numbers` is
    how many a code has. The rest is what `isthmus evaluate` calls so.

    Raises:
        UsageError: this model has no such number. DataError: `probe` without labels.
    """
    metrics = Evaluator(model, SEED, 0, lambda _: None)(test, model.recipe.corruption, {}).metrics
    values = {**metrics, "numbers": float(model.recipe.geometry.numbers(model.size))}
    if "probe" in names:
        values["probe"] = probe_accuracy(model, train, test)
    words = _objective_words()
    for name in names:
        if name not in values:
            requested = next((word for word, own in words.items() if own == name), name)
            options = sorted({*values, "probe", *(word for word, own in words.items() if own in values)})
            # A word that means a metric is spelt right: what is missing is the number, not a letter.
            hint_text = (
                f"; it has {', '.join(options)}" if requested in words else nearest(requested, options)
            )
            raise UsageError(
                "recipe '{recipe}' has no objective '{asked}'{suggestion}",
                id="tune.unknown-objective",
                recipe=model.recipe.name,
                asked=requested,
                suggestion=hint_text,
            )
    return {name: float(values[name]) for name in names}


def probe_accuracy(model: Autoencoder, train: ImageSet, test: ImageSet) -> float:
    """Share of test images whose label a logistic regression reads off the standardised code.

    Raises:
        DataError: no labels, only one class, or grid codes of images of different sizes.
    """
    from sklearn.linear_model import LogisticRegression

    if train.labels is None or test.labels is None:
        raise DataError(
            "{train} has no labels, so no probe can be trained on it",
            id="tune.no-labels",
            hint="put each class in a folder of its own",
            train=train.source,
        )
    some = sample_evenly(train, PROBE_IMAGES)
    assert some.labels is not None
    if len(np.unique(some.labels)) < 2:
        raise DataError(
            "{train} has only one class: a probe needs at least two",
            id="tune.one-class",
            hint="put each class in a folder of its own",
            train=train.source,
        )
    codes, test_codes = (encode_set(model, part) for part in (some, test))
    mean, spread = codes.mean(0), codes.std(0)
    spread[spread < 1e-9] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged after 300 steps is close enough to compare trials
        fitted = LogisticRegression(max_iter=300).fit((codes - mean) / spread, some.labels)
    return float(fitted.score((test_codes - mean) / spread, test.labels))


def format_scores(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval over folds."""
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.4g}"
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.4g} ± {half:.2g}"
