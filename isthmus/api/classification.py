"""How well labels can be read off the features of a model that was trained without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    Range,
    check_count,
    describe_model,
    open_model_and_data,
    read_images_for,
    refuse_unused,
)
from isthmus.api.reference import ReferenceKind, resolve_extractor_for
from isthmus.api.result import PictureResult, keys, skipped_inputs, use
from isthmus.errors import Hint
from isthmus.interruption import Interruption
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.classification import ProbeScores

DEFAULT_DRAWS = 5


@dataclass(frozen=True, kw_only=True, repr=False)
class Classification(PictureResult):
    """How many test images get their right class from features, and from what they are compared with.

    Attributes:
        model: the model, as it was given.
        layer: the stage of the encoder that the features come from.
        reference: what the scaling is fitted to: `model` (as its file says) or `data` (the training images).
        train_images: number of images whose labels were learned.
        test_images: number of images that were measured.
        classes: names of the classes.
        numbers: length of a feature vector.
        linear: share of test images that a linear probe on all labels classifies correctly.
        knn: the same for a vote of the nearest training images.
        few: the same from `few_labels` labels per class, means over draws: `linear`, a linear probe, and
            `spread`, labels spread over the graph of all training images; null without few labels.
        few_labels: labels per class in `few`; 0 leaves it out.
        neighbours: number of nearest images that vote.
        baselines: `numbers`, `linear`, `knn` and `few` of what the features are compared with, by name:
            `code`, `pixels` and `pca`.
        confusion: `(K, K)` int64 counts of the linear probe on features, row = true class.
        scores: of the features and of each baseline: `ProbeScores(name, numbers, linear, knn, few_linear,
            few_spread)`.
        names: of the test images.
        predicted: `(N,)` int64 class of each test image by the linear probe, an index into `classes`.
        confidence: `(N,)` float64 probability of that class, in (0, 1].
    """

    schema: ClassVar[str] = "isthmus.classify/1"
    document: ClassVar = keys(
        "model layer reference train_images test_images classes numbers",
        "linear knn few few_labels neighbours baselines confusion",
    )
    formats: ClassVar = (".csv", ".json", ".npz", ".png")

    model: str
    layer: str
    reference: ReferenceKind
    train_images: int
    classes: tuple[str, ...]
    few_labels: int
    neighbours: int
    scores: tuple[ProbeScores, ...]
    names: tuple[str, ...] = field(repr=False)
    predicted: npt.NDArray[np.int64] = field(repr=False)
    confidence: npt.NDArray[np.float64] = field(repr=False)
    confusion: npt.NDArray[np.int64] = field(repr=False)

    @property
    def test_images(self) -> int:
        return len(self.predicted)

    @property
    def numbers(self) -> int:
        return self.scores[0].numbers

    @property
    def linear(self) -> float:
        return self.scores[0].linear

    @property
    def knn(self) -> float:
        return self.scores[0].knn

    @property
    def few(self) -> Mapping[str, float | None]:
        first_scores = self.scores[0]
        return {"linear": first_scores.few_linear, "spread": first_scores.few_spread}

    @property
    def baselines(self) -> Mapping[str, Mapping[str, object]]:
        return {row.name: row.to_dict() for row in self.scores[1:]}

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["vectors", "numbers", "linear %", f"{self.neighbours}-NN %"]
        if self.few_labels:
            header += [f"{self.few_labels} labels, linear %", f"{self.few_labels} labels, spread %"]
        rows: list[list[object]] = []
        for row in self.scores:
            shares = [row.linear, row.knn, *([row.few_linear, row.few_spread] if self.few_labels else [])]
            percents = (None if share is None else round(100 * share, 2) for share in shares)
            rows.append([row.name, row.numbers, *percents])
        return header, rows

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, `class` and `probability` of every test image."""
        rows: list[list[object]] = [
            [name, self.classes[index], f"{chance:.4f}"]
            for name, index, chance in zip(self.names, self.predicted, self.confidence, strict=True)
        ]
        return ["name", "class", "probability"], rows

    def arrays(self) -> dict[str, Any]:
        """`names`, `predicted` and `confidence`, each `(N,)`, `classes (K,)` and `confusion (K, K)`."""
        import numpy as np

        return {
            "names": np.array(self.names),
            "predicted": self.predicted,
            "confidence": self.confidence,
            "classes": np.array(self.classes),
            "confusion": self.confusion,
        }

    def draw(self, scale: int | None = None) -> bytes:
        """The confusion matrix of the linear probe."""
        from isthmus.reports.charts import draw_confusion

        return draw_confusion(self.confusion, self.classes, scale=scale or 1)


@rename_keywords(few="few_labels")
@use
def classify(
    model: ModelLike,
    train: DataLike,
    test: DataLike,
    *,
    layer: str | None = None,
    neighbours: int = 5,
    few_labels: int = 10,
    draws: int = DEFAULT_DRAWS,
    baselines: bool = True,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Classification:
    """Learn labels from a model's features, and measure on other images how well that works.

    The model has not seen the labels. A linear probe and a vote of nearest neighbours use all labels of the
    training images; two more measures use a few per class: a linear probe, and labels that are spread over
    the graph of the other, unlabelled images (Zhou et al. 2004). Features are scaled as the model file says,
    else on the training images.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        train: images with labels: each class in a folder of its own, or a named set such as `mnist:train`.
        test: other images with labels of the same classes.
        layer: read this stage of the encoder; `code` is one.
        neighbours: number of nearest images that vote.
        few_labels: labels per class of the measures with few labels; 0 leaves them out.
        draws: how often the few labels are drawn; the measures are means.
        baselines: compare with pixels and their principal components.
        limit: learn from at most this many images, and measure on at most this many, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of draws and held-out parts.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: a number out of its range, or a layer that the model has not.
        DataError: unreadable images, no labels, or test images of a class that was not learned.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> labels = np.arange(40) % 2
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> labelled = isthmus.read(images, labels=labels)
        >>> isthmus.classify(model, labelled, labelled, few_labels=2).predicted.shape
        (40,)
    """
    check_count("neighbours", neighbours)
    check_count("few_labels", few_labels, least=0)
    check_count("draws", draws)
    if not few_labels and draws != DEFAULT_DRAWS:
        refuse_unused("draws", "without few labels", hint=Hint.add(few_labels=10))
    network, learned = open_model_and_data(model, train, limit=limit, range=range)
    measured = read_images_for(network, test, limit=limit, range=range)
    from isthmus.evaluation.audit.near_overlap import warn_of_near_copies
    from isthmus.features.classification import describe_probes, iter_probes
    from isthmus.features.contenders import FEATURE_KINDS

    warn_of_near_copies(measured, learned, "images that labels are learned from")
    extractor, reference = resolve_extractor_for(network, learned, layer=layer)
    kinds = FEATURE_KINDS if baselines else FEATURE_KINDS[:2]
    stop = Interruption()
    parts = stop.collect(
        iter_probes(
            network,
            extractor,
            learned,
            measured,
            neighbours=neighbours,
            few=few_labels,
            draws=draws,
            kinds=kinds,
            seed=seed,
            progress=progress,
        )
    )
    stop.check(len(parts), len(kinds), "row")
    probes = describe_probes(parts, learned, measured)
    return Classification(
        model=describe_model(model, network),
        layer=extractor.reading.layer,
        reference=reference,
        train_images=len(learned),
        classes=learned.classes,
        few_labels=few_labels,
        neighbours=neighbours,
        scores=probes.rows,
        names=measured.names,
        predicted=probes.predicted,
        confidence=probes.confidence,
        confusion=probes.confusion,
        skipped=skipped_inputs(learned.skipped, measured.skipped),
        complete=stop.complete,
    )
