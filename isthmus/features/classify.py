"""How well labels can be read off features that were learned without them, compared with PCA and pixels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, UsageError
from isthmus.features.contenders import SEEN, Contender, contenders
from isthmus.features.neighbourhood import knn_predict, nearest, neighbour_graph, spread_labels
from isthmus.features.probe import confusion, fit_probe
from isthmus.features.readout import Readout
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.progress import SILENT, Progress, start_task

Labels = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]

FEW = 10
DRAWS = 5
GRAPH_NEIGHBOURS = 10
MOST_SPREAD = 20_000  # images over which few labels are spread
FEW_DECAY = 1e-2


@dataclass(frozen=True)
class ProbeScores:
    """Shares of test images that are classified correctly from one kind of vectors.

    Attributes:
        name: `features`, `code`, `pixels` or `pca`.
        numbers: length of a vector.
        linear: a linear probe on all training labels.
        knn: nearest neighbours with all training labels.
        few_linear, few_spread: means over draws of a few labels per class: a linear probe, and labels spread
            over the graph of all training images, whose other labels are not used; None without few labels.
    """

    name: str
    numbers: int
    linear: float
    knn: float
    few_linear: float | None = None
    few_spread: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "numbers": self.numbers,
            "linear": self.linear,
            "knn": self.knn,
            "few": {"linear": self.few_linear, "spread": self.few_spread},
        }


@dataclass(frozen=True)
class ProbeResult:
    """Scores of each kind of vectors, and what the linear probe of the first kind predicts.

    Attributes:
        predicted: `(n,)` class of each test image.
        confidence: `(n,)` its probability.
        confusion: `(classes, classes)` counts, row = true class.
    """

    rows: tuple[ProbeScores, ...]
    predicted: Labels
    confidence: npt.NDArray[np.float64]
    confusion: npt.NDArray[np.int64]


def iter_probes(
    model: Autoencoder,
    readout: Readout,
    train: ImageSet,
    test: ImageSet,
    *,
    neighbours: int = 5,
    few: int = FEW,
    draws: int = DRAWS,
    seen: Collection[str] = SEEN,
    seed: int = 0,
    progress: Progress | None = SILENT,
) -> Iterator[tuple[ProbeScores, Scores]]:
    """Fit probes on `train`'s labels and measure them on `test`, for one kind of vectors after another.

    Args:
        neighbours: of the nearest-neighbour vote.
        few: labels per class of the few-label columns; 0 leaves them out.
        draws: of those few labels; the columns are means.
        seen: which vectors are compared: of `features`, `code`, `pixels` and `pca`.

    Yields:
        What was measured, and the linear probe's scores `(n, classes)` of the test images.

    Raises:
        DataError: labels are missing, or the test set has classes that the training set has not.
    """
    for images in (train, test):
        if images.labels is None:
            raise DataError(
                "{source} has no labels",
                id="data.no-labels",
                hint="put each class in a folder of its own",
                source=images.source,
            )
    wanted = _same_classes(train, test)
    assert train.labels is not None
    with start_task(progress, "fitting probes", len(seen)) as task:
        for done, one in enumerate(contenders(model, readout, (train, test), seen=seen)):
            task.update(done, one.name)
            yield _measured(one, train.labels, wanted, len(train.classes), neighbours, few, draws, seed)


def describe_probes(
    parts: Sequence[tuple[ProbeScores, Scores]], train: ImageSet, test: ImageSet
) -> ProbeResult:
    """What `iter_probes` found, and what the first probe predicts.

    Raises:
        UsageError: it found nothing.
    """
    if not parts:
        raise UsageError(
            "no vectors to compare; known: {known}", id="classify.no-vectors", known=", ".join(SEEN)
        )
    first = parts[0][1]
    predicted = first.argmax(1).astype(np.int64)
    odds = np.exp(first.astype(np.float64) - first.max(1, keepdims=True))
    return ProbeResult(
        rows=tuple(row for row, _ in parts),
        predicted=predicted,
        confidence=(odds.max(1) / odds.sum(1)),
        confusion=confusion(_same_classes(train, test), predicted, len(train.classes)),
    )


def classify(
    model: Autoencoder, readout: Readout, train: ImageSet, test: ImageSet, **options: Any
) -> ProbeResult:
    """Everything that `iter_probes` finds; it has the options and errors."""
    return describe_probes(list(iter_probes(model, readout, train, test, **options)), train, test)


def _measured(
    one: Contender,
    labels: Labels,
    wanted: Labels,
    classes: int,
    neighbours: int,
    few: int,
    draws: int,
    seed: int,
) -> tuple[ProbeScores, Scores]:
    probe = fit_probe(one.sets[0], labels, classes=classes, seed=seed)
    scores = probe.scores(one.sets[1])
    found = knn_predict(one.compact[1], one.compact[0], labels, classes=classes, count=neighbours)
    few_linear, few_spread = (None, None) if few < 1 else _few(one, labels, wanted, classes, few, draws, seed)
    linear = float((scores.argmax(1) == wanted).mean())
    knn = float((found == wanted).mean())
    return ProbeScores(one.name, one.numbers, linear, knn, few_linear, few_spread), scores


def _few(
    one: Contender, labels: Labels, wanted: Labels, classes: int, few: int, draws: int, seed: int
) -> tuple[float, float | None]:
    graph, seen = None, np.arange(len(labels))
    if len(labels) > GRAPH_NEIGHBOURS:
        seen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MOST_SPREAD])
        graph = neighbour_graph(one.compact[0][seen], count=GRAPH_NEIGHBOURS)
        near = nearest(one.compact[1], one.compact[0][seen], GRAPH_NEIGHBOURS)
    linear, spread = [], []
    for draw in range(draws):
        random = np.random.default_rng((seed, draw))
        # Drawn among the images of the graph, so that both columns are given the same labels.
        drawn = [random.permutation(np.flatnonzero(labels[seen] == c))[:few] for c in range(classes)]
        places = np.concatenate(drawn)
        known = seen[places]
        probe = fit_probe(
            one.sets[0][known], labels[known], classes=classes, decays=(FEW_DECAY,), iterations=100
        )
        linear.append(float((probe.predict(one.sets[1]) == wanted).mean()))
        if graph is not None:
            scores = spread_labels(graph, places, labels[known], classes=classes)
            scores = scores / scores.sum(1, keepdims=True).clip(1e-300)
            weight = np.exp(-np.square(near[0] / near[0][:, -1:].clip(1e-6)))
            votes = (scores[near[1]] * weight[:, :, None]).sum(1)
            spread.append(float((votes.argmax(1) == wanted).mean()))
    return float(np.mean(linear)), float(np.mean(spread)) if spread else None


def _same_classes(train: ImageSet, test: ImageSet) -> Labels:
    """The test labels as numbers of the training classes."""
    assert train.labels is not None and test.labels is not None
    if train.classes == test.classes or not test.classes:
        wanted = test.labels
    else:
        unknown = [name for name in test.classes if name not in train.classes]
        if unknown:
            raise DataError(
                "{test} has a class '{name}' that {train} has not",
                id="classify.unknown-class",
                test=test.source,
                name=unknown[0],
                train=train.source,
            )
        wanted = np.array([train.classes.index(name) for name in test.classes], dtype=np.int64)[test.labels]
    if len(wanted) == 0 or int(wanted.max()) >= len(train.classes):
        raise DataError(
            "{test} has classes that {train} has not",
            id="classify.unknown-classes",
            test=test.source,
            train=train.source,
        )
    return np.asarray(wanted, dtype=np.int64)
