"""Images as feature vectors, for other tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.attachments import check_storable, store_attachments
from isthmus.api.facts import label_arrays, list_labels
from isthmus.api.inputs import (
    DataLike,
    ModelLike,
    Range,
    check_choice,
    describe_model,
    open_model_and_data,
    refuse_unused,
)
from isthmus.api.reference import ReferenceKind, resolve_extractor
from isthmus.api.result import Result, keys, use
from isthmus.errors import Hint, UsageError
from isthmus.interruption import Interruption
from isthmus.log import collected_skipped
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FeatureKind = Literal["compact", "full", "code"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Embedding(Result):
    """One feature vector for each image.

    Attributes:
        model: the model, as it was given.
        what: `compact`, `full` or `code`.
        layer: the stage of the encoder that the features come from.
        reference: where the scaling comes from: `model`, `training` or `reference`; null for codes.
        images: number of images.
        numbers: length of a vector.
        has_labels: whether the images have labels.
        vectors: `(N, d)` float32, in the order of the images.
        names: of the images.
        labels: `(N,)` int64 indices into `classes`, or None.
        classes: names of the classes.
    """

    schema: ClassVar[str] = "isthmus.embed/1"
    document: ClassVar = keys("model what layer reference images numbers", labels="has_labels")
    formats: ClassVar = (".npz", ".parquet", ".csv", ".json")

    model: str
    what: FeatureKind
    layer: str
    reference: ReferenceKind | None
    vectors: npt.NDArray[np.float32] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    labels: npt.NDArray[np.int64] | None = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)

    @property
    def images(self) -> int:
        return len(self.vectors)

    @property
    def numbers(self) -> int:
        return int(self.vectors.shape[1])

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    def summary(self) -> str:
        return f"{format_count(self.images, 'image')}, {format_count(self.numbers, 'number')} each"

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, where known `label`, and one column for each number."""
        labels = list_labels(self.labels, self.classes)
        numbers = [[f"{value:.7g}" for value in row] for row in self.vectors]
        titles = [f"x{i}" for i in range(self.numbers)]
        if labels is None:
            return ["name", *titles], [[n, *b] for n, b in zip(self.names, numbers, strict=True)]
        rows = zip(self.names, labels, numbers, strict=True)
        return ["name", "label", *titles], [[name, label, *row] for name, label, row in rows]

    def arrays(self) -> dict[str, Any]:
        """`vectors (N, d)` float32, `names`, and where known `labels` and `classes`."""
        import numpy as np

        return {
            "vectors": self.vectors,
            "names": np.array(self.names),
            **label_arrays(self.labels, self.classes),
        }


@use
def embed(
    model: ModelLike,
    data: DataLike,
    *,
    what: FeatureKind = "compact",
    layer: str | None = None,
    reference: DataLike | None = None,
    store: bool = False,
    limit: int | None = None,
    range: Range | None = None,
    progress: Progress | None = None,
) -> Embedding:
    """Turn images into feature vectors.

    Features are scaled as the model file says, else on the training images; labels play no part.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        what: `compact`: some 256 numbers of length 1, for distances; `full`: all standardised numbers, for
            linear models; `code`: what `encode` gives, flat.
        layer: read this stage of the encoder; `code` is one.
        reference: images to fit the scaling to, instead of what the model stores.
        store: keep how features are read in the model's file.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown `what`, a layer that the model has not, or `store` with a shipped model.
        DataError: images that the model does not read, or nothing to fit the scaling to.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.embed(model, images[:3]).vectors.shape
        (3, 8)
    """
    check_choice("features", what, get_args(FeatureKind))
    if what == "code" and layer not in (None, "code") and not store:
        raise UsageError(
            "what=code is the code itself, so layer={layer} cannot be chosen",
            id="embed.code-and-layer",
            hint=Hint("leave out one of the two"),
            layer=layer,
        )
    if what == "code" and reference is not None and not store:
        refuse_unused("reference", "on codes, which are not scaled", hint=Hint.add(what="compact"))
    if store:
        check_storable(model)
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    extractor, kind = None, None
    if what != "code" or store:
        extractor, kind = resolve_extractor(network, reference, layer=layer, range=range)
    if store and extractor is not None:
        from isthmus.features.readout import NAME, read_extractor
        from isthmus.features.readout import attach_extractor as store_readout

        store_readout(network, extractor)
        store_attachments(model, network, NAME)
        extractor = read_extractor(network) or extractor  # in the precision that the file has
    from isthmus.model.inference import Rows, iter_codes

    if what == "code" or extractor is None:
        parts, layer, kind = iter_codes(network, images), "code", None
    else:
        from isthmus.features.readout import iter_features

        parts = iter_features(network, images, extractor, compact=what == "compact")
        layer = extractor.reading.layer
    rows, stop = Rows(len(images)), Interruption()
    with stop, start_task(progress, "reading features", len(images), "images") as task:
        for part in parts:
            rows.add(part)
            task.update(len(rows))
    stop.check(len(rows), len(images), "image")
    return Embedding(
        model=describe_model(model, network),
        what=what,
        layer=layer,
        reference=kind,
        vectors=rows.array,
        names=images.names[: len(rows)],
        labels=None if images.labels is None else images.labels[: len(rows)],
        classes=images.classes,
        skipped=collected_skipped(),
        complete=stop.complete,
    )
