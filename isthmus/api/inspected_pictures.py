"""One picture of the result of `isthmus.anomalies`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.api.anomaly_result import AnomalyResult
    from isthmus.features.marked_regions import Box


@dataclass(frozen=True)
class UnusualImage:
    """One image of an `AnomalyResult`.

    Attributes:
        name: of the image.
        score: higher is more unusual.
        chance: share of normal images that score as high, in (0, 1].
        flagged: whether the score lies above the threshold.
    """

    name: str
    score: float
    chance: float
    flagged: bool


@dataclass(frozen=True)
class InspectedImage(UnusualImage):
    """One image with its marked regions.

    Attributes:
        verdict: `flagged` or `normal`.
        boxes: top, left, height and width of each marked region, in pixels, the largest first; none where
            the image is not flagged.
    """

    verdict: str
    boxes: tuple[Box, ...]


class InspectedPicture:
    """One picture of a result, read again when its pixels or its map are requested.

    Attributes:
        name, score, chance, flagged, verdict, boxes: see `InspectedImage`.
    """

    def __init__(self, result: AnomalyResult, row: int) -> None:
        self._result, self._row = result, row
        facts = result.facts(row)
        self.name, self.score, self.chance, self.flagged = (
            facts.name,
            facts.score,
            facts.chance,
            facts.flagged,
        )
        self.verdict, self.boxes = facts.verdict, facts.boxes

    @property
    def pixels(self) -> npt.NDArray[Any]:
        """`(H, W, C)`, the picture."""
        pixels: npt.NDArray[Any] = self._result.read_item(self._row)[0].pixels
        return pixels

    @property
    def heat(self) -> npt.NDArray[np.float64]:
        """`(H, W)` map that the score was read from, higher is more unusual."""
        return self._result.heat(self._row)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """`(H, W)` bool, what is marked; nothing where the picture is not flagged."""
        return self._result.read_item(self._row)[2]

    def __repr__(self) -> str:
        return f"InspectedPicture({self.name!r}, score={self.score:.4g}, {self.verdict})"
