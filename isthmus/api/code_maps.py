"""A map of the codes of many images, with the images themselves on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.facts import label_arrays, list_labels
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    Range,
    check_choice,
    check_count,
    describe_model,
    open_model_and_data,
)
from isthmus.api.result import PictureResult, keys, skipped_inputs, use
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.progress import Progress, start_task
from isthmus.wording import choose_word

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MapKind = Literal["tsne", "pca"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CodeMap(PictureResult):
    """Where the codes of images lie in two dimensions.

    The page (`.html`) can be zoomed and needs no other file; the picture (`.png`) shows at most 300 images.

    Attributes:
        model: the model, as it was given.
        images: number of images on the map.
        given: number of images that were read.
        method: `tsne` or `pca`; after Ctrl-C in t-SNE it is `pca`.
        explained: with `pca`, share of the codes' variance that the two axes hold; else null.
        points: `(N, 2)` float32 in [0, 1], up is up.
        names: of the images.
        labels: `(N,)` int64 indices into `classes`, or None.
        classes: names of the classes.
    """

    schema: ClassVar[str] = "isthmus.map/1"
    document: ClassVar = keys("model images given method explained")
    formats: ClassVar = (".html", ".png", ".csv", ".npz", ".json")
    output_keys: ClassVar = {}
    file_facts: ClassVar = {"bytes": "size of the first file written with `-o`, or null"}

    model: str
    given: int
    method: MapKind
    explained: float | None
    points: npt.NDArray[np.float32] = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    labels: npt.NDArray[np.int64] | None = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    _title: str = field(repr=False)
    _lookup: ImageLookup = field(repr=False)

    @property
    def images(self) -> int:
        return len(self.points)

    def summary(self) -> str:
        part = f" of {self.given:,}" if self.given > self.images else ""
        return f"{self.images:,}{part} {choose_word(self.images, 'image')} on the map"

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, where known `label`, `x` and `y`."""
        columns = {"name": self.names, "label": list_labels(self.labels, self.classes)}
        for number, axis in enumerate("xy"):
            columns[axis] = [f"{value:.6g}" for value in self.points[:, number]]
        filled_columns = {name: values for name, values in columns.items() if values is not None}
        return [*filled_columns], [list(row) for row in zip(*filled_columns.values(), strict=True)]

    def arrays(self) -> dict[str, Any]:
        """`points (N, 2)` float32, `names`, and where known `labels` and `classes`."""
        import numpy as np

        return {
            "points": self.points,
            "names": np.array(self.names),
            **label_arrays(self.labels, self.classes),
        }

    def page(self) -> str:
        """One HTML page that can be zoomed and moved in."""
        from isthmus.reports.page import code_map_page

        method = "t-SNE" if self.method == "tsne" else "PCA"
        return code_map_page(
            self.points,
            self._read_images(),
            self.names,
            labels=self.labels,
            classes=self.classes,
            title=self._title,
            note=f"{self.images:,} {choose_word(self.images, 'image')} by {method} of their codes",
        )

    def draw(self, scale: int | None = None) -> bytes:
        """At most 300 images, evenly spaced among them, each where its code lies."""
        from isthmus.images.subsets import even_rows
        from isthmus.reports.image_sheets import MAX_MAP_IMAGES, draw_map

        rows = even_rows(self.images, MAX_MAP_IMAGES)
        return draw_map(self.points[rows], self._lookup.read(rows.tolist()), scale=scale or 1)

    def describe_files(self, paths: Sequence[str]) -> dict[str, Any]:
        """`bytes`: size of the first file."""
        return {"bytes": Path(paths[0]).stat().st_size if paths else None}

    def _read_images(self) -> Iterator[npt.NDArray[Any]]:
        images = self._lookup.read(range(self.images))
        for index in range(self.images):
            yield images.image(index)


@use
def code_map(
    model: ModelLike,
    data: DataLike,
    *,
    method: MapKind = "tsne",
    limit: int = 4000,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> CodeMap:
    """Draw images where their codes lie: one self-contained page to zoom and move in.

    Labels play no part; where there are any, the classes have colours.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        method: `tsne` (van der Maaten and Hinton 2008) keeps neighbours together, `pca` keeps directions.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of t-SNE.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: another method.
        DataError: fewer than three images, or unreadable ones.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((32, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.code_map(model, images, method="pca").points.shape
        (32, 2)
    """
    check_choice("method", method, get_args(MapKind))
    check_count("limit", limit, least=3)
    network, everything = open_model_and_data(model, data, range=range)
    note_bands(show, everything.channels)
    from isthmus.generation.code_map import lay_out_codes
    from isthmus.images.subsets import sample_evenly

    images = sample_evenly(everything, limit)
    stop = Interruption()
    with start_task(progress, "laying out", 1) as task:
        layout = lay_out_codes(
            network, images, neighbours=method == "tsne", seed=seed, stop=stop, report=task.update
        )
    stop.check(1, 2, "step", then="the map is by PCA")
    name = describe_model(model, network)
    return CodeMap(
        model=name,
        given=len(everything),
        method="tsne" if layout.explained is None else "pca",
        explained=layout.explained,
        points=layout.points,
        names=images.names,
        labels=images.labels,
        classes=images.classes,
        skipped=skipped_inputs(images.skipped),
        complete=stop.complete,
        _title=f"{Path(name).stem}: {everything.source}",
        _lookup=ImageLookup(network, data, images, range),
    )
