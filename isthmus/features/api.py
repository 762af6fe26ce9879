"""The uses of features as functions: embed, cluster, search, anomalies; each takes a model and DATA."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import BusyError, DataError, OutputError, UsageError
from isthmus.features import anomalies as unusual
from isthmus.features import classify as probes
from isthmus.features import clusters, index, tiles
from isthmus.features.readout import Listener, Readout, features, fit_readout, stored
from isthmus.images.batches import whole
from isthmus.images.store import ImageSet
from isthmus.locks import exclusive
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import load
from isthmus.model.reading import read_for
from isthmus.outputs import check_output
from isthmus.threads import limited

Vectors = npt.NDArray[np.float32]
What = Literal["compact", "full", "code"]
Model = Autoencoder | str | os.PathLike[str]


@dataclass(frozen=True)
class Embedding:
    """`vectors (N, d)` float32 of `images`, in their order."""

    vectors: Vectors
    images: ImageSet


@dataclass(frozen=True)
class Match:
    """An image that is like another: its name, its row, and how alike (or how far)."""

    name: str
    row: int
    value: float


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Attributes:
        matches: for each query, most alike first.
        queries, images: what was searched for, and in.
        added, removed: what the index had to be brought up to date by.
        index_path: where the index is; None if none is kept.
        lost: why the index could not be written, where it could not.
    """

    matches: tuple[tuple[Match, ...], ...]
    queries: ImageSet
    images: ImageSet
    added: int
    removed: int
    index_path: Path | None
    lost: OutputError | None = None


@dataclass(frozen=True)
class Anomalies:
    """How unusual each image is.

    Attributes:
        scores: `(N,)`, higher = more unusual.
        flagged: `(N,)` above the detector's threshold.
        chance: `(N,)` share of normal images that would score as high.
        tiles: the pieces, where pictures were cut into some.
    """

    images: ImageSet
    scores: npt.NDArray[np.float64]
    flagged: npt.NDArray[np.bool_]
    chance: npt.NDArray[np.float64]
    detector: unusual.Detector
    readout: Readout
    tiles: tiles.Tiles | None

    def worst(self, count: int) -> list[int]:
        """Rows of the most unusual images, most unusual first."""
        return [int(row) for row in np.argsort(-self.scores, kind="stable")[:count]]


@limited()
def embed(
    model: Model,
    data: Any,
    *,
    what: What = "compact",
    readout: Readout | None = None,
    listener: Listener | None = None,
) -> Embedding:
    """Feature vectors of images.

    Args:
        model: a model or the path of its file.
        data: images, as `isthmus.read` takes them.
        what: `compact`: some 256 numbers of length 1, for distances; `full`: all standardised numbers, for
            linear models; `code`: what `encode` gives, flat.
        readout: how features are read; the model's own, or one fitted to these images where it has none.

    Raises:
        UsageError: an unknown `what`.
        DataError: images that the model does not read.
    """
    if what not in get_args(What):
        raise UsageError(f"features '{what}' are not known; known: {', '.join(get_args(What))}")
    network, images = _both(model, data)
    if what == "code":
        return Embedding(_codes(network, images), images)
    chosen = _readout(network, images, readout)
    vectors = features(network, images, chosen, compact=what == "compact", listener=listener)
    return Embedding(vectors, images)


@limited()
def classify(model: Model, train: Any, test: Any, *, readout: Readout | None = None, **options: Any) -> Any:
    """How well labels can be read off features; see `isthmus.features.classify.classify`."""
    network, images = _both(model, train)
    chosen = _readout(network, images, readout)
    return probes.classify(network, chosen, images, read_for(network, test), **options)


@limited()
def cluster(
    model: Model, data: Any, count: int, *, readout: Readout | None = None, **options: Any
) -> clusters.Clusters:
    """Group images by their compact features; see `isthmus.features.clusters.find_clusters`."""
    found = embed(model, data, readout=readout)
    return clusters.find_clusters(found.vectors, count, **options)


@limited()
def search(
    model: Model,
    data: Any,
    like: Any,
    *,
    count: int = 10,
    metric: index.Metric = "cosine",
    readout: Readout | None = None,
    index_path: str | os.PathLike[str] | None = None,
    listener: Listener | None = None,
) -> Found:
    """The images of `data` that are most like those of `like`.

    Args:
        index_path: where the features of `data` are kept; read when it is there, brought up to date, and
            written. None keeps nothing.
        metric: `cosine` or `l2`.

    The answer is given also where the index cannot be written; `lost` then tells why.

    Raises:
        ModelFileError: the file at `index_path` is not an index.
        BusyError: another process is bringing the index up to date.
        UsageError: an unknown metric, or a count below 1.
    """
    if count < 1:
        raise UsageError(f"{count} matches cannot be shown")
    network, images = _both(model, data)
    queries = read_for(network, like)
    path = None if index_path is None else Path(index_path)
    earlier = None if path is None else index.load_usable(path)
    if readout is None and earlier is not None and index.is_of(earlier, network):
        readout = stored(network) or earlier.readout
    chosen = _readout(network, images, readout)
    lost: OutputError | None = None
    with contextlib.ExitStack() as lock:
        current = index.is_current(earlier, network, chosen, images)
        if path is not None and not current:
            try:
                check_output(path, force=True, stream=False)
                lock.enter_context(exclusive(path))
            except BusyError:
                raise
            except OutputError as error:
                lost = error
        fresh = index.refresh(network, chosen, images, earlier, listener=listener)
        if path is not None and not current and lost is None:
            try:
                index.save_index(fresh.index, path)
            except OutputError as error:
                lost = error
    if lost is not None:
        path = None
    wanted = features(network, queries, chosen, compact=True)
    values, rows = index.most_alike(fresh.index, wanted, count, metric=metric)
    matches = tuple(
        tuple(Match(images.names[int(r)], int(r), float(v)) for r, v in zip(some, much, strict=True))
        for some, much in zip(rows, values, strict=True)
    )
    return Found(matches, queries, images, fresh.added, fresh.removed, path, lost)


@limited()
def anomalies(
    model: Model,
    data: Any,
    *,
    normal: Any = None,
    score: unusual.Kind | None = None,
    false_alarms: float | None = None,
    tile: bool | None = None,
    readout: Readout | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Anomalies:
    """How unusual images are beside normal ones.

    Args:
        normal: normal images; None takes the detector in the model.
        score: see `isthmus.features.anomalies`; None takes the detector's in the model, or `density`.
        false_alarms: share of normal images (of their pieces, where pictures are cut) that may be flagged;
            None takes the detector's in the model, or 0.01.
        tile: cut pictures into overlapping pieces of the model's size; None does where they are much larger.

    Raises:
        DataError: no normal images are given and the model holds no detector, or one of another score.
    """
    network, images = _both(model, data)
    detector = None if normal is not None else unusual.stored_detector(network)
    if detector is not None and score not in (None, detector.kind):
        raise DataError(
            f"this model holds the score '{detector.kind}', and for '{score}' what is normal is not known",
            hint="add --normal DATA",
        )
    if detector is not None and false_alarms is not None:
        detector = detector.at(false_alarms)
    usual = None if normal is None else read_for(network, normal)
    chosen = _readout(network, images if usual is None else usual, readout)
    size = chosen.reading.size
    cuts = tiles.is_larger(images, size) if tile is None else tile
    if detector is None:
        if usual is None:
            raise DataError("what is normal is not known: give normal images", hint="add --normal DATA")
        say("fitting to normal images")
        seen = tiles.cut(usual, size).pieces if cuts else usual
        rate = unusual.FALSE_ALARMS if false_alarms is None else false_alarms
        detector = unusual.fit_detector(network, chosen, seen, score or unusual.SCORE, false_alarms=rate)
    pieces = tiles.cut(images, size) if cuts else None
    say("scoring")
    scores = unusual.score(network, chosen, detector, images if pieces is None else pieces.pieces)
    if pieces is not None:
        scores = pieces.of_pictures(scores)
    chance = detector.chance(scores)
    return Anomalies(images, scores, scores > detector.threshold, chance, detector, chosen, pieces)


@limited()
def heat_maps(model: Model, found: Anomalies, rows: list[int]) -> list[npt.NDArray[np.float64]]:
    """`(H, W)` maps of where the chosen images are unusual, higher = more."""
    network = load(model)
    images = found.images.subset(rows)
    if found.tiles is None:
        return unusual.heat(network, found.readout, found.detector, images)
    pieces = tiles.cut(images, found.readout.reading.size)
    return pieces.assembled(unusual.heat(network, found.readout, found.detector, pieces.pieces))


def _both(model: Model, data: Any) -> tuple[Autoencoder, ImageSet]:
    network = load(model)
    return network, read_for(network, data)


def _readout(model: Autoencoder, images: ImageSet, given: Readout | None) -> Readout:
    return given or stored(model) or fit_readout(model, images)


def _codes(model: Autoencoder, images: ImageSet) -> Vectors:
    if model.recipe.geometry.is_grid and images.shape is None:
        raise DataError(f"{images.source}: images of different sizes have grid codes of different lengths")
    with torch.no_grad():
        parts = [model.encode_batch(b.images).flatten(1).numpy() for b in whole(images, batch=128)]
    return np.concatenate(parts)
