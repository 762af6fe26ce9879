"""The images of a set that are most similar to others."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    PathLike,
    Range,
    check_choice,
    check_count,
    describe_model,
    open_model_and_data,
    read_images_for,
)
from isthmus.api.reference import ReferenceKind, fit_extractor_to_data
from isthmus.api.result import PictureResult, keys, skipped_inputs, use
from isthmus.errors import BusyError, OutputError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from isthmus.features.index import Index
    from isthmus.features.readout import FeatureExtractor
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

MetricKind = Literal["cosine", "l2"]
MAX_DRAWN_QUERIES = 20
MAX_DRAWN_MATCHES = 10


@dataclass(frozen=True)
class Match:
    """One image that is similar to a query.

    Attributes:
        name: of the image.
        row: its place in the set, from 0.
        value: by the metric: cosine up to 1, or distance from 0.
    """

    name: str
    row: int
    value: float


@dataclass(frozen=True)
class QueryMatches:
    """The matches of one query.

    Attributes:
        name: of the query.
        matches: most similar first, each with `name`, `row` (its place in the set) and `value` by the metric.
    """

    name: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class SearchResult(PictureResult):
    """The images that are most similar to each query.

    Attributes:
        model: the model, as it was given.
        layer: the stage of the encoder that the features come from.
        reference: what their scaling is fitted to: always `data`, the searched images.
        metric: `cosine`, up to 1 for the same direction, or `l2`, a distance from 0.
        images: number of images that were searched.
        query_matches: the matches of each query.
        queries: names of the queries.
        matches: for each query its `Match(name, row, value)`, most similar first.
        index: path of the file that keeps the features of the searched images, or null.
        added: images whose features were calculated for this search.
        removed: images of the index that are no longer in the set, or have changed.
        index_error: why the index could not be written, where it could not; the matches are complete.
    """

    schema: ClassVar[str] = "isthmus.search/1"
    document: ClassVar = keys("model layer reference metric images", queries="query_matches") | keys(
        "index added removed"
    )
    formats: ClassVar = (".csv", ".json", ".npz", ".png")

    model: str
    layer: str
    reference: ReferenceKind
    metric: MetricKind
    images: int
    queries: tuple[str, ...] = field(repr=False)
    matches: tuple[tuple[Match, ...], ...] = field(repr=False)
    index: Path | None
    added: int
    removed: int
    index_error: OutputError | None = field(default=None, repr=False)
    _lookup: ImageLookup = field(repr=False)
    _query_lookup: ImageLookup = field(repr=False)

    @property
    def query_matches(self) -> tuple[QueryMatches, ...]:
        return tuple(map(QueryMatches, self.queries, self.matches))

    def rows(self) -> tuple[list[str], list[list[object]]]:
        rows: list[list[object]] = [
            [query.name, match.name, round(match.value, 4)]
            for query in self.query_matches
            for match in query.matches
        ]
        return ["query", "match", self.metric], rows

    def summary(self) -> str:
        if self.index is None:
            return ""
        return f"index {self.index}: {self.added} added, {self.removed} removed"

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`query`, `match`, `row` and the value by the metric, a row for each match."""
        rows: list[list[object]] = [
            [query.name, match.name, match.row, f"{match.value:.6g}"]
            for query in self.query_matches
            for match in query.matches
        ]
        return ["query", "match", "row", self.metric], rows

    def arrays(self) -> dict[str, Any]:
        """`queries (Q,)` names; `names`, `rows` and `values` of their matches, each `(Q, count)`."""
        import numpy as np

        return {
            "queries": np.array(self.queries),
            "names": np.array([[match.name for match in some] for some in self.matches]),
            "rows": np.array([[match.row for match in some] for some in self.matches], dtype=np.int64),
            "values": np.array([[match.value for match in some] for some in self.matches], dtype=np.float32),
        }

    def draw(self, scale: int | None = None) -> bytes:
        """The first twenty queries, each followed by its ten best matches."""
        from isthmus.reports.image_sheets import draw_image_rows

        matches = [some[:MAX_DRAWN_MATCHES] for some in self.matches[:MAX_DRAWN_QUERIES]]
        queries = self._query_lookup.read(range(len(matches)))
        images = self._lookup.read([match.row for some in matches for match in some])
        strips, place = [], 0
        for query, some in enumerate(matches):
            values = f"{some[0].value:.3f} … {some[-1].value:.3f}"
            pictures = [images.image(place + number) for number in range(len(some))]
            place += len(some)
            title = f"{self.queries[query]}; then by {self.metric}: {values}"
            strips.append((title, [queries.image(query), *pictures]))
        return draw_image_rows(strips, columns=1 + MAX_DRAWN_MATCHES, scale=scale)


@rename_keywords(index_path="index")
@use
def search(
    model: ModelLike,
    data: DataLike,
    like: DataLike,
    *,
    count: int = 10,
    metric: MetricKind = "cosine",
    layer: str | None = None,
    index: PathLike | None = None,
    limit: int | None = None,
    range: Range | None = None,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> SearchResult:
    """Find the images of a set that are most similar to others.

    All pairs are compared exactly. Features are scaled on the searched images, with an
    index as they were when it was made.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: the images to search: a folder, file, archive, array, named set, or a list of those.
        like: what to look for: an image, or several.
        count: matches for each of these.
        metric: cosine of the features, up to 1, or their distance, from 0.
        layer: read this stage of the encoder; `code` is one.
        index: keep the features of the searched images in this file; when it exists it is brought up to date,
            and only new images go through the network.
        limit: search at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown metric, a count below 1, or a layer that the model has not.
        DataError: unreadable images.
        ModelFileError: the file at `index` is not an index.
        BusyError: another process is bringing the index up to date.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.search(model, images, images[7:8], count=3).matches[0][0].row
        7
    """
    check_count("count", count)
    check_choice("metric", metric, get_args(MetricKind))
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    queries = read_images_for(network, like, range=range)
    note_bands(show, images.channels)
    from isthmus.features.index import IndexRefresh, find_nearest, is_current, load_usable, save_index
    from isthmus.features.readout import extract_features
    from isthmus.locks import exclusive
    from isthmus.outputs import check_output, path_exists

    path, stop = None if index is None else Path(index), Interruption()
    earlier = None if path is None else load_usable(path)
    if path is not None and earlier is None and path_exists(path):
        log_note(
            "the index {path} is damaged and is built again",
            id="search.index-made-again",
            path=os.fspath(path),
        )
    extractor = _choose_extractor(network, images, layer, earlier)
    current = path is None or is_current(earlier, network, extractor, images)
    error: OutputError | None = None
    with contextlib.ExitStack() as lock:
        if path is not None and not current:
            try:
                check_output(path, force=True, stream=False)
                lock.enter_context(exclusive(path))
            except BusyError:
                raise
            except OutputError as failure:
                error = failure
        work = IndexRefresh(network, extractor, images, earlier)
        with stop, start_task(progress, "indexing", len(images), "images") as task:
            for count_encoded in work.run():
                task.update(count_encoded)
        then = "" if path is None else "the same call does the rest"
        stop.check(len(work), len(images), "image", then=then)
        fresh = work.finish()
        if path is not None and not current and error is None:
            try:
                save_index(fresh.index, path)
            except OutputError as failure:
                error = failure
    query_vectors = extract_features(network, queries, extractor, compact=True)
    values, places = find_nearest(fresh.index.vectors, query_vectors, count, metric=metric)
    matches = tuple(
        tuple(Match(images.names[int(r)], int(r), float(v)) for r, v in zip(some, much, strict=True))
        for some, much in zip(fresh.rows[places], values, strict=True)
    )
    return SearchResult(
        model=describe_model(model, network),
        layer=extractor.reading.layer,
        reference="data",
        metric=metric,
        images=len(fresh.index),
        queries=queries.names,
        matches=matches,
        index=None if error is not None else path,
        added=fresh.added,
        removed=fresh.removed,
        index_error=error,
        skipped=skipped_inputs(images.skipped, queries.skipped),
        complete=stop.complete,
        _lookup=ImageLookup(network, data, images, range),
        _query_lookup=ImageLookup(network, like, queries, range),
    )


def _choose_extractor(
    model: Autoencoder, images: ImageSet, layer: str | None, earlier: Index | None
) -> FeatureExtractor:
    """That of the index, fitted to the set as it was when the index was made; else one fitted to `images`."""
    from isthmus.features.index import matches_model

    if (
        earlier is not None
        and matches_model(earlier, model)
        and layer in (None, earlier.readout.reading.layer)
    ):
        return earlier.readout  # fitted again, it would change all features that are kept
    return fit_extractor_to_data(model, images, layer=layer)
