"""A linear probe: multinomial logistic regression on features, its strength of regularisation held out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError, UsageError
from isthmus.features.contenders import FEATURE_KINDS, FeatureSet, feature_sets
from isthmus.features.neighbourhood import knn_predict, nearest, neighbour_graph, spread_labels
from isthmus.features.readout import FeatureExtractor
from isthmus.images.store import ImageSet
from isthmus.images.subsets import labels_of
from isthmus.model.autoencoder import Autoencoder
from isthmus.progress import SILENT, Progress, start_task
from isthmus.wording import format_count

Vectors = npt.NDArray[np.float32]

Labels = npt.NDArray[np.int64]

DECAYS = (3e-2, 6e-3, 1e-3)  # penalty λ/2·‖W‖² relative to the mean loss of images

HELD_OUT_SHARE = 0.1

ITERATIONS, SEARCH_ITERATIONS = 60, 25


@dataclass(frozen=True)
class Probe:
    """`weight (classes, D)`, `bias (classes,)`, and the penalty it was fitted with."""

    weight: Vectors
    bias: Vectors
    decay: float

    def scores(self, features: Vectors) -> Vectors:
        """`(n, classes)` log-odds, up to a constant per row."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float32)

    def predict(self, features: Vectors) -> Labels:
        """The likeliest class of each row."""
        return np.asarray(self.scores(features).argmax(1), dtype=np.int64)


def fit_probe(
    features: Vectors,
    labels: Labels,
    *,
    classes: int,
    decays: Sequence[float] = DECAYS,
    seed: int = 0,
    iterations: int = ITERATIONS,
) -> Probe:
    """Multinomial logistic regression by L-BFGS (Liu and Nocedal 1989).

    Of several `decays` the one is taken that is best on a tenth of the rows that is held out (the largest of
    equals), then all rows are fitted from there on.

    Args:
        features: `(n, D)` float32, standardised.
        labels: `(n,)` in 0 … classes − 1.

    Raises:
        DataError: no rows, or lengths differ.
    """
    if len(features) == 0 or len(features) != len(labels):
        raise DataError(
            "a probe needs a label for each row: {rows}, {labels}",
            id="features.probe-labels",
            rows=format_count(len(features), "row"),
            labels=format_count(len(labels), "label"),
        )
    rows, target = torch.from_numpy(np.ascontiguousarray(features)), torch.from_numpy(labels)
    best, start = decays[0], None
    held_out_count = max(1, round(HELD_OUT_SHARE * len(features)))
    if len(decays) > 1 and len(features) - held_out_count >= 2:
        out = torch.from_numpy(np.random.default_rng(seed).permutation(len(features))[:held_out_count].copy())
        weight = torch.ones(len(features))
        weight[out] = 0  # left out by weight: a copy of the rest would double the memory
        most, last = -1.0, None
        for decay in sorted(decays, reverse=True):
            last = _fit(rows, target, weight, classes, decay, SEARCH_ITERATIONS, last)
            right = float((last.predict(features[out.numpy()]) == labels[out.numpy()]).mean())
            if right > most:
                most, best, start = right, decay, last
    return _fit(rows, target, torch.ones(len(features)), classes, best, iterations, start)


def _fit(
    rows: Tensor, target: Tensor, share: Tensor, classes: int, decay: float, steps: int, start: Probe | None
) -> Probe:
    weight = torch.zeros(classes, rows.shape[1]) if start is None else torch.from_numpy(start.weight.copy())
    bias = torch.zeros(classes) if start is None else torch.from_numpy(start.bias.copy())
    weight.requires_grad_()
    bias.requires_grad_()
    share = share / share.sum()
    solver = torch.optim.LBFGS(
        [weight, bias],
        max_iter=steps,
        history_size=10,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        solver.zero_grad()
        each = F.cross_entropy(rows @ weight.T + bias, target, reduction="none")
        value = (each * share).sum() + decay / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    return Probe(weight.detach().numpy(), bias.detach().numpy(), decay)


def count_confusion(truth: Labels, predicted: Labels, classes: int) -> npt.NDArray[np.int64]:
    """`(classes, classes)` counts: row = true class, column = predicted class."""
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (truth, predicted), 1)
    return table


Scores = npt.NDArray[np.float32]

FEW_LABELS = 10

DRAWS = 5

GRAPH_NEIGHBOURS = 10

MAX_GRAPH_IMAGES = 20_000  # images over which few labels are spread

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
    readout: FeatureExtractor,
    train: ImageSet,
    test: ImageSet,
    *,
    neighbours: int = 5,
    few: int = FEW_LABELS,
    draws: int = DRAWS,
    kinds: Collection[str] = FEATURE_KINDS,
    seed: int = 0,
    progress: Progress | None = SILENT,
) -> Iterator[tuple[ProbeScores, Scores]]:
    """Fit probes on `train`'s labels and measure them on `test`, for one kind of vectors after another.

    Args:
        neighbours: of the nearest-neighbour vote.
        few: labels per class of the few-label columns; 0 leaves them out.
        draws: of those few labels; the columns are means.
        kinds: which vectors are compared: of `features`, `code`, `pixels` and `pca`.

    Yields:
        The measurements, and the linear probe's scores `(n, classes)` of the test images.

    Raises:
        DataError: labels are missing, or the test set has classes that the training set has not.
    """
    labels, classes = labels_of(train), len(train.classes)
    labels_of(test)
    truth = _match_classes(train, test)
    with start_task(progress, "fitting probes", len(kinds)) as task:
        for done, vectors in enumerate(feature_sets(model, readout, (train, test), kinds=kinds)):
            task.update(done, vectors.name)
            probe = fit_probe(vectors.sets[0], labels, classes=classes, seed=seed)
            scores = probe.scores(vectors.sets[1])
            new, known_vectors = vectors.compact[1], vectors.compact[0]
            votes = knn_predict(new, known_vectors, labels, classes=classes, count=neighbours)
            few_linear = few_spread = None
            if few >= 1:
                few_linear, few_spread = _measure_few_labels(
                    vectors, labels, truth, classes, few, draws, seed
                )
            linear, knn = (float((predicted == truth).mean()) for predicted in (scores.argmax(1), votes))
            yield ProbeScores(vectors.name, vectors.numbers, linear, knn, few_linear, few_spread), scores


def describe_probes(
    parts: Sequence[tuple[ProbeScores, Scores]], train: ImageSet, test: ImageSet
) -> ProbeResult:
    """What `iter_probes` found, and what the first probe predicts.

    Raises:
        UsageError: it found nothing.
    """
    if not parts:
        raise UsageError(
            "no vectors to compare; known: {names}", id="classify.no-vectors", names=", ".join(FEATURE_KINDS)
        )
    first = parts[0][1]
    predicted = first.argmax(1).astype(np.int64)
    odds = np.exp(first.astype(np.float64) - first.max(1, keepdims=True))
    return ProbeResult(
        rows=tuple(row for row, _ in parts),
        predicted=predicted,
        confidence=(odds.max(1) / odds.sum(1)),
        confusion=count_confusion(_match_classes(train, test), predicted, len(train.classes)),
    )


def classify(
    model: Autoencoder, readout: FeatureExtractor, train: ImageSet, test: ImageSet, **options: Any
) -> ProbeResult:
    """Everything that `iter_probes` finds; it has the options and errors."""
    return describe_probes(list(iter_probes(model, readout, train, test, **options)), train, test)


def _measure_few_labels(
    vectors: FeatureSet, labels: Labels, truth: Labels, classes: int, few: int, draws: int, seed: int
) -> tuple[float, float | None]:
    graph, graph_rows = None, np.arange(len(labels))
    if len(labels) > GRAPH_NEIGHBOURS:
        graph_rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:MAX_GRAPH_IMAGES])
        graph = neighbour_graph(vectors.compact[0][graph_rows], count=GRAPH_NEIGHBOURS)
        near = nearest(vectors.compact[1], vectors.compact[0][graph_rows], GRAPH_NEIGHBOURS)
    linear, spread = [], []
    for draw in range(draws):
        random = np.random.default_rng((seed, draw))
        # Drawn among the images of the graph, so that both columns are given the same labels.
        drawn = [random.permutation(np.flatnonzero(labels[graph_rows] == c))[:few] for c in range(classes)]
        places = np.concatenate(drawn)
        labelled = graph_rows[places]
        probe = fit_probe(
            vectors.sets[0][labelled], labels[labelled], classes=classes, decays=(FEW_DECAY,), iterations=100
        )
        linear.append(float((probe.predict(vectors.sets[1]) == truth).mean()))
        if graph is not None:
            scores = spread_labels(graph, places, labels[labelled], classes=classes)
            scores = scores / scores.sum(1, keepdims=True).clip(1e-300)
            weight = np.exp(-np.square(near[0] / near[0][:, -1:].clip(1e-6)))
            votes = (scores[near[1]] * weight[:, :, None]).sum(1)
            spread.append(float((votes.argmax(1) == truth).mean()))
    return float(np.mean(linear)), float(np.mean(spread)) if spread else None


def _match_classes(train: ImageSet, test: ImageSet) -> Labels:
    """The test labels as numbers of the training classes."""
    assert train.labels is not None and test.labels is not None
    if train.classes == test.classes or not test.classes:
        truth = test.labels
    else:
        unknown = [name for name in test.classes if name not in train.classes]
        if unknown:
            raise DataError(
                "{test} has a class '{name}' that {train} does not have",
                id="classify.unknown-class",
                test=test.source,
                name=unknown[0],
                train=train.source,
            )
        truth = np.array([train.classes.index(name) for name in test.classes], dtype=np.int64)[test.labels]
    if len(truth) == 0 or int(truth.max()) >= len(train.classes):
        raise DataError(
            "{test} has classes that {train} does not have",
            id="classify.unknown-classes",
            test=test.source,
            train=train.source,
        )
    return np.asarray(truth, dtype=np.int64)
