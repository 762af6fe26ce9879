"""Fit a detector to normal pictures: choose its scores by detection power, and calibrate it by picture.

Calibration scores come from pictures that the score was not fitted to. Where few are held out, pictures are
divided into folds, each is scored by a fit to the others (cross-conformal prediction, Vovk 2015), and the
detector itself is fitted to all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from isthmus.features.anomalies import Detector, Scores
from isthmus.features.anomaly_kinds import KINDS_WITHOUT_NETWORK, ROW_KINDS, SCORE_VALUES, Kind
from isthmus.features.kind_readings import WITHOUT_NETWORK, RowKind
from isthmus.features.picture_maps import Part, average_maps, fit_part, map_values, map_with_parts
from isthmus.features.picture_rows import RowReader
from isthmus.features.pictures import Picture
from isthmus.features.planted_defects import (
    MAX_PLANTED_PICTURES,
    PlantedPictures,
    measure_auroc,
    measure_row,
    planted_sizes,
)
from isthmus.features.power_rows import PowerRow, power_to_facts
from isthmus.features.readout import FeatureExtractor
from isthmus.model.autoencoder import Autoencoder

Rows = npt.NDArray[np.int64]
RowKey = tuple[RowKind, int]  # of what kind, and `Part.tiles`
Report = Callable[[float, str], None]

FOLDS = 5
MAX_CROSS_FITTED = 500  # pictures; of more, a fifth is enough to calibrate on
MIN_PLANTED_PICTURES = 6
MAX_PLANTED_PIXELS = 2**24  # of pictures with planted defects, for each size of these
PICTURES_AT_ONCE = 64  # of which rows are read together
MAX_KEPT_BYTES = 2**29  # of rows of normal pictures
MAX_PICTURE_BYTES = 2**26  # of pictures from which rows are read together
MAX_TRIED_FIT, MAX_TRIED = 150, 24  # pictures that candidates are fitted to and tried on
STRONG_AUROC = 0.75  # a score this good on planted defects is averaged with the others
STRONG_MARGIN = 0.08  # of the best one, within which it must lie
MEAN_MARGIN = 0.01  # of the best one, within which the mean of the strong ones must lie


@dataclass(frozen=True)
class Candidate:
    """A kind of score, of whole pictures or tiles (`Part.tiles`)."""

    kind: Kind
    tiles: int


@dataclass(frozen=True)
class Plan:
    """Which normal pictures a detector is fitted to and calibrated on.

    Attributes:
        folds: pairs of rows: fitted to the first, scored are the second.
        fitted: rows that the detector itself is fitted to.
    """

    folds: tuple[tuple[Rows, Rows], ...]
    fitted: Rows

    @property
    def calibrated(self) -> int:
        """How many pictures are scored."""
        return sum(len(rows) for _, rows in self.folds)


class Chosen(Sequence[Picture]):
    """Some of the pictures, by row."""

    def __init__(self, pictures: Sequence[Picture], rows: Rows) -> None:
        self._pictures, self._rows = pictures, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._pictures[int(self._rows[index])]


class NormalRows:
    """The rows that scores read from normal pictures; each picture is read once, as long as memory allows.

    Args:
        trained_on: rows of pictures that the network saw, and that are in no plan: scores that read no
            network are fitted to them as well.
    """

    def __init__(
        self,
        model: Autoencoder,
        extractor: FeatureExtractor,
        pictures: Sequence[Picture],
        trained_on: Rows | None = None,
    ) -> None:
        self.model, self.extractor, self.pictures = model, extractor, pictures
        self._reader = RowReader(model, extractor)
        self._trained_on = np.empty(0, dtype=np.int64) if trained_on is None else trained_on
        self._tensors: dict[tuple[RowKey, int], Tensor] = {}
        self._bytes = 0
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._expected: tuple[RowKey, ...] = ()

    def expect(self, scores: Sequence[Candidate | Part]) -> None:
        """Name the scores that follow: what they need of a picture is read together."""
        self._expected = tuple((ROW_KINDS[score.kind], score.tiles) for score in scores)

    def iter(self, kind: Kind, tiles: int, rows: Rows) -> Iterator[Tensor]:
        """The tensors that a kind reads, for each of these pictures."""
        key = (ROW_KINDS[kind], tiles)
        for start in range(0, len(rows), PICTURES_AT_ONCE):
            part = rows[start : start + PICTURES_AT_ONCE].tolist()
            missing = [row for row in part if (key, row) not in self._tensors]
            fresh = self._read(key, missing) if missing else {}
            for row in part:
                yield fresh[row] if row in fresh else self._tensors[key, row]

    def _read(self, key: RowKey, rows: list[int]) -> dict[int, Tensor]:
        """Read the tensors of a kind, and with them those that are expected and fit into memory."""
        fresh: dict[int, Tensor] = {}
        for part_rows, pictures in _iter_parts(self.pictures, rows):
            self._shapes |= {
                row: picture.pixels.shape
                for row, picture in zip(part_rows, pictures, strict=True)
                if picture.ignored is None
            }
            for own in dict.fromkeys((key, *self._expected)):
                if own == key:
                    places = list(range(len(part_rows)))
                elif self._bytes < MAX_KEPT_BYTES:
                    places = [place for place, row in enumerate(part_rows) if self._is_expected(own, row)]
                else:
                    continue
                tensors = self._reader.iter_rows(*own, [pictures[place] for place in places])
                for place, tensor in zip(places, tensors, strict=True):
                    if own == key:
                        fresh[part_rows[place]] = tensor
                    size = tensor.numel() * tensor.element_size()
                    if self._bytes + size <= MAX_KEPT_BYTES:
                        self._tensors[own, part_rows[place]] = tensor.clone()
                        self._bytes += size
        return fresh

    def _is_expected(self, key: RowKey, row: int) -> bool:
        """Whether rows are still to be read: of pictures that the network saw only those without it."""
        is_used = key[0] in WITHOUT_NETWORK or row not in self._trained_on
        return is_used and (key, row) not in self._tensors

    def fit(self, part: Part, rows: Rows, seed: int) -> Part:
        """The part fitted to these pictures."""
        rows = self.rows_of(part, rows)
        fitted = fit_part(part.kind, part.tiles, self.iter(part.kind, part.tiles, rows), len(rows), seed=seed)
        scales = {name: getattr(part, name) for name in ("centre", "spread", "map_centre", "map_spread")}
        return dataclasses.replace(fitted, **scales)

    def rows_of(self, part: Part, rows: Rows) -> Rows:
        """The pictures that a part is fitted to, of a plan's."""
        return np.union1d(rows, self._trained_on) if part.kind in KINDS_WITHOUT_NETWORK else rows

    def measure(self, parts: Sequence[Part], rows: Rows) -> Iterator[tuple[float, float]]:
        """The score of each of these pictures, and the highest value of its map."""
        single = [part.in_single_precision() for part in parts]
        streams = [self.iter(part.kind, part.tiles, rows) for part in parts]
        size = self.extractor.reading.size
        for row, tensors in zip(rows.tolist(), zip(*streams, strict=True), strict=True):
            shape, ignored = self._frame(row)
            maps = []
            for part, tensor in zip(single, tensors, strict=True):
                values = SCORE_VALUES[part.kind](part.tensors, tensor)
                maps.append(map_values(part, size, tensor, values, shape, ignored))
            picture_map = average_maps(parts, maps, ignored)
            yield picture_map.score, picture_map.peak

    def scores(self, parts: Sequence[Part], rows: Rows) -> Scores:
        """Scores of these pictures."""
        return np.array([score for score, _ in self.measure(parts, rows)], dtype=np.float64)

    def at_most(self, count: int, row: int) -> int:
        """How many pictures get planted defects: fewer where they are as large as this one."""
        height, width = map(int, self.pictures[row].pixels.shape[:2])
        return max(MIN_PLANTED_PICTURES, min(count, MAX_PLANTED_PIXELS // (height * width)))

    def _frame(self, row: int) -> tuple[tuple[int, ...], npt.NDArray[np.bool_] | None]:
        """Shape of a picture, and its pixels that do not count."""
        if row in self._shapes:
            return self._shapes[row], None
        picture = self.pictures[row]
        return picture.pixels.shape, picture.ignored


def _iter_parts(pictures: Sequence[Picture], rows: list[int]) -> Iterator[tuple[list[int], list[Picture]]]:
    """Rows and their pictures, as many as may lie in memory together."""
    part_rows: list[int] = []
    part: list[Picture] = []
    for row in rows:
        part_rows.append(row)
        part.append(pictures[row])
        if sum(picture.pixels.nbytes for picture in part) >= MAX_PICTURE_BYTES or row == rows[-1]:
            yield part_rows, part
            part_rows, part = [], []


def make_plan(
    groups: Sequence[str], *, seed: int, fitted: Rows | None = None, used: Rows | None = None
) -> Plan:
    """Divide pictures into those to fit to and those to calibrate on; groups are never divided.

    Args:
        groups: of each picture; pictures of one group show one part.
        fitted: rows that are fitted to in any case; all others are then calibrated on.
        used: rows that are divided; by default all.
    """
    rows = np.arange(len(groups)) if used is None else used
    groups = [groups[row] for row in rows]
    if fitted is not None:
        held_out = np.setdiff1d(rows, fitted)
        return Plan(((fitted, held_out),), fitted)
    names = np.array(sorted(set(groups)))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of_name = dict(zip(names[order].tolist(), (np.arange(len(names)) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of_name[group] for group in groups])
    if len(groups) > MAX_CROSS_FITTED:
        return Plan(((rows[fold != 0], rows[fold == 0]),), rows[fold != 0])
    folds = [number for number in range(FOLDS) if (fold == number).any()]
    return Plan(tuple((rows[fold != n], rows[fold == n]) for n in folds), rows)


def choose_parts(
    normal: NormalRows,
    candidates: Sequence[Candidate],
    plan: Plan,
    *,
    seed: int,
    report: Report = lambda _share, _text: None,
) -> tuple[list[Part], dict[str, float]]:
    """The parts of a detector, not yet fitted to all pictures, and the AUROC of each candidate.

    Each candidate is fitted to some pictures and tried on others with planted defects, in all folds, so that
    pictures of several groups are tried. The best is taken, and with it, as z-scores of equal weight, those
    that are strong and nearly as good, unless their mean finds clearly less than the best alone.
    """
    random = np.random.default_rng(seed)
    each = -(-normal.at_most(MAX_TRIED, int(plan.folds[0][1][0])) // len(plan.folds))
    folds = [
        (np.sort(random.permutation(first)[:MAX_TRIED_FIT]), np.sort(random.permutation(held_out)[:each]))
        for first, held_out in plan.folds
    ]
    sizes = planted_sizes(Chosen(normal.pictures, np.concatenate([held_out for _, held_out in folds])))
    sizes = sizes if len(sizes) < 3 else [sizes[0], sizes[-2], None]
    normal.expect(candidates)
    rated: list[tuple[float, Part]] = []
    z_scores: list[tuple[Scores, list[Scores]]] = []  # of the pictures as they are, and of each size
    table: dict[str, float] = {}
    for place, candidate in enumerate(candidates):
        clean: list[tuple[float, float]] = []
        planted: dict[int | None, list[Scores]] = {size: [] for size in sizes}
        part = Part(candidate.kind, candidate.tiles, "max", {})
        for number, (first, held_out) in enumerate(folds):  # pooled: what differs between groups counts
            report((place + number / len(folds)) / len(candidates), "trying scores on planted defects")
            part = normal.fit(part, first, seed)
            clean += normal.measure([part], held_out)
            for size, planted_scores in planted.items():
                planted_scores.append(_score_planted(normal, [part], held_out, size, seed))
        scores, peaks = (np.array(values) for values in zip(*clean, strict=True))
        scores_by_size = [np.concatenate(planted[size]) for size in sizes]
        auroc = _mean_auroc(scores, scores_by_size)
        part = dataclasses.replace(
            part,
            centre=float(scores.mean()),
            spread=max(float(scores.std()), 1e-12),
            map_centre=float(peaks.mean()),
            map_spread=max(float(peaks.std()), 1e-12),
        )
        rated.append((auroc, part))
        z_scores.append(
            ((scores - part.centre) / part.spread, [(s - part.centre) / part.spread for s in scores_by_size])
        )
        table[part.title] = round(auroc, 3)
    best = max(auroc for auroc, _ in rated)
    strong = [i for i, (auroc, _) in enumerate(rated) if auroc >= max(STRONG_AUROC, best - STRONG_MARGIN)]
    if len(strong) > 1:
        mean_clean = np.mean([z_scores[i][0] for i in strong], axis=0)
        mean_planted = [np.mean([z_scores[i][1][k] for i in strong], axis=0) for k in range(len(sizes))]
        if _mean_auroc(mean_clean, mean_planted) >= best - MEAN_MARGIN:
            return [rated[i][1] for i in strong], table
    chosen = next(part for auroc, part in rated if auroc == best)
    return [dataclasses.replace(chosen, centre=0.0, spread=1.0, map_centre=0.0, map_spread=1.0)], table


def _mean_auroc(clean: Scores, planted: Sequence[Scores]) -> float:
    """The mean over sizes of defects."""
    return float(np.mean([measure_auroc(clean, scores) for scores in planted]))


def fit_to_pictures(
    normal: NormalRows,
    parts: Sequence[Part],
    plan: Plan,
    *,
    false_alarms: float,
    seed: int,
    report: Report = lambda _share, _text: None,
) -> Detector:
    """The detector of these parts: fitted, calibrated, and its detection power measured.

    Args:
        parts: with kind, tiles and the values to make z-scores with; they are fitted here.
    """
    scores, peaks = [], []
    tried: list[tuple[list[Part], Rows]] = []
    total = plan.calibrated
    fitted: list[Part] = []
    normal.expect(parts)
    for number, (fit_rows, held_out) in enumerate(plan.folds):
        report(0.7 * number / len(plan.folds), "calibrating on held-out pictures")
        fitted = [normal.fit(part, fit_rows, seed) for part in parts]
        for place, (score, peak) in enumerate(normal.measure(fitted, held_out)):
            scores.append(score)
            peaks.append(peak)
            share = (number + (place + 1) / len(held_out)) / len(plan.folds)
            report(0.7 * share, "calibrating on held-out pictures")
        most = min(normal.at_most(MAX_PLANTED_PICTURES, int(held_out[0])), total)
        count = math.ceil(most * len(held_out) / total)
        own = np.random.default_rng(seed).permutation(len(held_out))[:count]
        tried.append((fitted, held_out[np.sort(own)]))
    if len(plan.folds) > 1:
        fitted = [normal.fit(part, plan.fitted, seed) for part in parts]
    count = max(len(normal.rows_of(part, plan.fitted)) for part in parts)
    detector = Detector(
        tuple(fitted), np.sort(np.array(scores)), np.sort(np.array(peaks)), false_alarms, count
    )
    power = _measure_over_folds(normal, tried, detector.threshold, seed, report)
    return dataclasses.replace(detector, facts={"power": power_to_facts(power)})


def _measure_over_folds(
    normal: NormalRows,
    tried: Sequence[tuple[list[Part], Rows]],
    threshold: float,
    seed: int,
    report: Report,
) -> list[PowerRow]:
    """For each size of planted defects how many are found; each picture by a fit without it."""
    sizes = set.intersection(*(set(planted_sizes(Chosen(normal.pictures, rows))) for _, rows in tried))
    ordered = [*sorted(size for size in sizes if size is not None), None]
    clean = np.concatenate([normal.scores(parts, rows) for parts, rows in tried])
    power = []
    for place, size in enumerate(ordered):
        report(0.7 + 0.3 * place / len(ordered), "measuring detection power")
        planted = np.concatenate([_score_planted(normal, parts, rows, size, seed) for parts, rows in tried])
        power.append(measure_row(size, clean, planted, threshold))
    return power


def _score_planted(
    normal: NormalRows, parts: Sequence[Part], rows: Rows, size: int | None, seed: int
) -> Scores:
    """Scores of these pictures, each with a planted defect."""
    planted = PlantedPictures(Chosen(normal.pictures, rows), size, seeds=seed + 7919 * rows)
    maps = map_with_parts(normal.model, normal.extractor, parts, planted)
    return np.array([picture_map.score for picture_map in maps], dtype=np.float64)
