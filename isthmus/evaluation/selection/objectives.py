"""What a trial is judged by: any number that `isthmus evaluate` gives, or how well labels can be read off."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence

import numpy as np

from isthmus.errors import DataError, UsageError, nearest
from isthmus.evaluation.measure import Measure
from isthmus.evaluation.passes import evenly
from isthmus.images.store import ImageSet
from isthmus.metrics.registry import METRICS
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.inference import encode_set

PROBE_IMAGES = 3000
SEED = 0


def objective(name: str) -> str:
    """The metric's own name: `reconstruction` is `mse`, `rate` is `rate_bpp`, `sparsity` is `nonzero`."""
    return _words().get(name.strip(), name.strip())


def is_maximised(name: str) -> bool:
    """Whether a search makes this metric large; else it makes it small."""
    return name in METRICS and METRICS[name].better == "higher"


def better(name: str, value: float, other: float) -> bool:
    """Whether `value` is better than `other`."""
    return value > other if is_maximised(name) else value < other


def _words() -> dict[str, str]:
    """Plain words for objectives → the metrics they mean."""
    return {metric.objective: name for name, metric in METRICS.items() if metric.objective}


def score(model: Autoencoder, train: ImageSet, test: ImageSet, names: tuple[str, ...]) -> dict[str, float]:
    """The named objectives of a trained model on images it has not seen.

    `probe` is the accuracy of a logistic regression on codes of at most 3,000 training images; `numbers` is
    how many a code has. The rest is what `isthmus evaluate` calls so.

    Raises:
        UsageError: this model has no such number. DataError: `probe` without labels.
    """
    metrics = Measure(model, SEED, 0, lambda _: None)(test, model.recipe.corruption, {}).metrics
    found = {**metrics, "numbers": float(model.recipe.geometry.numbers(model.size))}
    if "probe" in names:
        found["probe"] = probe_accuracy(model, train, test)
    words = _words()
    for name in names:
        if name not in found:
            asked = next((word for word, own in words.items() if own == name), name)
            known = sorted({*found, "probe", *(word for word, own in words.items() if own in found)})
            # A word that means a metric is spelt right: what is missing is the number, not a letter.
            rest = f"; it has {', '.join(known)}" if asked in words else nearest(asked, known)
            raise UsageError(
                "recipe '{recipe}' has no objective '{asked}'{suggestion}",
                id="tune.unknown-objective",
                recipe=model.recipe.name,
                asked=asked,
                suggestion=rest,
            )
    return {name: float(found[name]) for name in names}


def probe_accuracy(model: Autoencoder, train: ImageSet, test: ImageSet) -> float:
    """Share of test images whose label a logistic regression reads off the standardised code.

    Raises:
        DataError: no labels, only one class, or grid codes of images of different sizes.
    """
    from sklearn.linear_model import LogisticRegression

    if train.labels is None or test.labels is None:
        raise DataError(
            "{train} has no labels to probe for",
            id="tune.no-labels",
            hint="put each class in a folder of its own",
            train=train.source,
        )
    some = evenly(train, PROBE_IMAGES)
    assert some.labels is not None
    if len(np.unique(some.labels)) < 2:
        raise DataError("{train} has only one class to probe for", id="tune.one-class", train=train.source)
    codes, others = (encode_set(model, part) for part in (some, test))
    mean, spread = codes.mean(0), codes.std(0)
    spread[spread < 1e-9] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged after 300 steps is close enough to compare trials
        fitted = LogisticRegression(max_iter=300).fit((codes - mean) / spread, some.labels)
    return float(fitted.score((others - mean) / spread, test.labels))


def format_scores(values: Sequence[float]) -> str:
    """Mean and half the width of its 95 % interval over folds."""
    if not values:
        return "–"
    if len(values) < 2:
        return f"{values[0]:.4g}"
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.4g} ± {half:.2g}"
