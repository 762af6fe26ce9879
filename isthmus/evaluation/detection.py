"""How well a detector separates labelled pictures, and pixels of masks.

- AUROC: share of pairs of a good and a defective picture whose scores are in order.
- Average precision: mean of the precision at each defective picture, by falling score.
- Pixel AUROC: the same for pixels inside and outside of the masks.
- PRO: per-region overlap (Bergmann et al. 2021, "The MVTec anomaly detection dataset"): the mean share of
  each connected region that is marked, averaged over thresholds with at most 30 % of the good pixels marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus.features.planted_defects import measure_auroc

GOOD_NAMES = frozenset(("good", "normal", "ok", "okay", "pass", "passed", "healthy", "clean", "intact"))
BAD_NAMES = frozenset(("bad", "defect", "defects", "defective", "ng", "nok", "anomaly", "abnormal", "broken"))
MAX_PRO_RATE = 0.3
BINS = 4096
MAX_MASK_SAMPLES = 200_000  # values of maps that decide where the bins lie


@dataclass(frozen=True)
class LabelMetrics:
    """Pictures judged by their labels.

    Attributes:
        good_classes: names of the folders that count as good.
        good: number of good pictures.
        defective: number of defective ones.
        auroc: area under the ROC curve.
        average_precision: of the defective pictures.
        found: defective pictures that are flagged.
        missed: defective pictures that are not.
        false_alarms: good pictures that are flagged.
        passed: good pictures that are not.
    """

    good_classes: tuple[str, ...]
    good: int
    defective: int
    auroc: float
    average_precision: float
    found: int
    missed: int
    false_alarms: int
    passed: int


@dataclass(frozen=True)
class MaskMetrics:
    """Maps compared with masks of the defects.

    Attributes:
        pictures: number of pictures with a mask.
        regions: number of connected regions in the masks.
        pixel_auroc: area under the ROC curve over pixels.
        pro: per-region overlap up to 30 % of marked good pixels, in [0, 1].
        touched: share of regions that a marked pixel touches.
    """

    pictures: int
    regions: int
    pixel_auroc: float
    pro: float
    touched: float


def list_good_classes(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes that count as good, by their names; none where no name shows it."""
    good = tuple(name for name in classes if name.lower() in GOOD_NAMES)
    if not good and len(classes) == 2:
        good = tuple(name for name in classes if name.lower() not in BAD_NAMES)
        good = good if len(good) == 1 else ()
    return good if len(good) < len(classes) else ()


def measure_labels(
    defective: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float64],
    flagged: npt.NDArray[np.bool_],
    good_classes: tuple[str, ...],
) -> LabelMetrics | None:
    """None where one of the two kinds has no picture."""
    if defective.all() or not defective.any():
        return None
    return LabelMetrics(
        good_classes,
        int((~defective).sum()),
        int(defective.sum()),
        round(measure_auroc(scores[~defective], scores[defective]), 4),
        round(average_precision(defective, scores), 4),
        int((defective & flagged).sum()),
        int((defective & ~flagged).sum()),
        int((~defective & flagged).sum()),
        int((~defective & ~flagged).sum()),
    )


def average_precision(defective: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]) -> float:
    """Mean precision at each threshold, weighted by the gain in recall; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(defective[order])
    last = np.append(np.diff(scores[order]) != 0, True)
    precision = hits[last] / (np.flatnonzero(last) + 1)
    gains = np.diff(hits[last], prepend=0) / defective.sum()
    return float((precision * gains).sum())


class MaskComparison:
    """Collects maps with masks, one picture at a time, in histograms of bounded size."""

    def __init__(self) -> None:
        self._edges: npt.NDArray[np.float64] | None = None
        self._waiting: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]] = []
        self._waiting_values = 0
        self._good = np.zeros(BINS + 1)
        self._bad = np.zeros(BINS + 1)
        self._regions: list[npt.NDArray[np.float64]] = []
        self._touched = 0
        self.pictures = 0

    def add(
        self,
        heat: npt.NDArray[np.float32],
        mask: npt.NDArray[np.bool_],
        marked: npt.NDArray[np.bool_],
    ) -> None:
        """A map `(H, W)` with the mask of its defects and the marked pixels."""
        self.pictures += 1
        if self._edges is not None:
            self._count(heat, mask, marked)
            return
        self._waiting.append((heat, mask, marked))
        self._waiting_values += heat.size
        if self._waiting_values >= MAX_MASK_SAMPLES * 10:
            self._place_bins()

    def result(self) -> MaskMetrics | None:
        """None where no region was given."""
        self._place_bins()
        if not self._regions or self._good.sum() == 0:
            return None
        rate = _share_above(self._good)
        hits = _share_above(self._bad)
        overlap = np.mean([_share_above(region) for region in self._regions], 0)
        return MaskMetrics(
            self.pictures,
            len(self._regions),
            round(_area(rate, hits, 1.0), 4),
            round(_area(rate, overlap, MAX_PRO_RATE) / MAX_PRO_RATE, 4),
            round(self._touched / len(self._regions), 4),
        )

    def _place_bins(self) -> None:
        if self._edges is not None or not self._waiting:
            return
        step = max(1, self._waiting_values // MAX_MASK_SAMPLES)
        some = np.concatenate([heat.ravel()[::step] for heat, _, _ in self._waiting]).astype(np.float64)
        # Half of the bins by rank, half by value: the highest values decide, and they are few.
        by_rank = np.quantile(some, np.linspace(0, 1, BINS // 2))
        highest = max(float(heat.max()) for heat, _, _ in self._waiting)
        by_value = np.linspace(float(some.min()), highest, BINS // 2)
        self._edges = np.sort(np.concatenate([by_rank, by_value]))
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._count(*item)

    def _count(
        self, heat: npt.NDArray[np.float32], mask: npt.NDArray[np.bool_], marked: npt.NDArray[np.bool_]
    ) -> None:
        from scipy import ndimage

        assert self._edges is not None
        bins = np.searchsorted(self._edges, heat.ravel(), side="right").reshape(heat.shape)
        self._good += np.bincount(bins[~mask], minlength=BINS + 1)
        self._bad += np.bincount(bins[mask], minlength=BINS + 1)
        labels, _ = ndimage.label(mask, np.ones((3, 3)))
        for number, place in enumerate(ndimage.find_objects(labels), 1):
            own = labels[place] == number
            self._regions.append(np.bincount(bins[place][own], minlength=BINS + 1).astype(np.float64))
            self._touched += bool(marked[place][own].any())


def _share_above(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Share of values in bin i or a higher one, for i from the highest to the lowest, after 0."""
    total = max(float(counts.sum()), 1.0)
    return np.concatenate([[0.0], np.cumsum(counts[::-1]) / total])


def _area(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], end: float) -> float:
    """Area under the curve from x = 0 to `end`, by the trapezoid rule."""
    last = float(np.interp(end, x, y))
    inside = x <= end
    return float(np.trapezoid(np.append(y[inside], last), np.append(x[inside], end)))
