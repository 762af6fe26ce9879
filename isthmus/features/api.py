"""Similar and unusual images of sets that are already read, for the sections of reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus.features import anomalies as unusual
from isthmus.features.index import most_alike
from isthmus.features.readout import Readout, features
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited


@dataclass(frozen=True)
class Match:
    """An image that is similar to another: its row, and the cosine of their features."""

    row: int
    value: float


@dataclass(frozen=True)
class Anomalies:
    """How unusual each of `images` is: `scores (N,)`, higher = more, and which are `flagged (N,)`."""

    images: ImageSet
    scores: npt.NDArray[np.float64]
    flagged: npt.NDArray[np.bool_]
    detector: unusual.Detector
    readout: Readout

    def worst(self, count: int) -> list[int]:
        """Rows of the most unusual images, most unusual first."""
        return [int(row) for row in np.argsort(-self.scores, kind="stable")[:count]]


@limited()
def search(
    model: Autoencoder, images: ImageSet, queries: ImageSet, *, count: int, readout: Readout
) -> tuple[tuple[Match, ...], ...]:
    """For each query the `count` images that are most similar to it, most similar first."""
    wanted, known = (features(model, one, readout, compact=True) for one in (queries, images))
    values, rows = most_alike(known, wanted, count)
    return tuple(
        tuple(Match(int(row), float(value)) for row, value in zip(some, much, strict=True))
        for some, much in zip(rows, values, strict=True)
    )


@limited()
def anomalies(
    model: Autoencoder,
    images: ImageSet,
    *,
    normal: ImageSet,
    readout: Readout,
    score: unusual.Kind = unusual.SCORE,
) -> Anomalies:
    """How unusual images are compared with normal ones, at one false alarm in a hundred."""
    detector = unusual.fit_detector(model, readout, normal, score)
    scores = unusual.score(model, readout, detector, images)
    return Anomalies(images, scores, scores > detector.threshold, detector, readout)


@limited()
def heat_maps(model: Autoencoder, found: Anomalies, rows: list[int]) -> list[npt.NDArray[np.float64]]:
    """`(H, W)` maps of where the chosen images are unusual, higher = more."""
    return unusual.heat(model, found.readout, found.detector, found.images.subset(rows))
