"""Fit a detector to normal pictures: choose its scores by detection power, and calibrate it by picture.

Calibration scores come from pictures that the score was not fitted to. Where few are held out, the pictures are
divided into folds, each is scored by a fit to the others (cross-conformal prediction, Vovk 2015), and the
detector itself is fitted to all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.features.anomalies import PICTURES_PER_CHUNK, Detector, Scores, map_with_parts
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.detection_power import (
    MAX_PLANTED_PICTURES,
    PowerRow,
    measure_auroc,
    measure_power,
    planted_sizes,
    power_to_facts,
    PlantedPictures,
)
from isthmus.features.picture_scores import Part, Picture, fit_part
from isthmus.features.readout import FeatureExtractor
from isthmus.model.autoencoder import Autoencoder

Rows = npt.NDArray[np.int64]
Report = Callable[[float, str], None]

FOLDS = 5
MAX_CROSS_FITTED = 500  # pictures; of more, a fifth is enough to calibrate on
HELD_SHARE = 0.2
MAX_TRIED_FIT, MAX_TRIED = 150, 24  # pictures that candidates are fitted to and tried on
STRONG_AUROC = 0.75  # a score this good on planted defects is averaged with the others
STRONG_MARGIN = 0.08  # of the best one, within which it must lie


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
        return sum(len(held) for _, held in self.folds)


class Chosen(Sequence[Picture]):
    """Some of the pictures, by row."""

    def __init__(self, pictures: Sequence[Picture], rows: Rows) -> None:
        self._pictures, self._rows = pictures, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._pictures[int(self._rows[index])]


def make_plan(groups: Sequence[str], *, seed: int, fitted: Rows | None = None) -> Plan:
    """Divide pictures into those to fit to and those to calibrate on; groups are never divided.

    Args:
        groups: of each picture; pictures of one group show one part.
        fitted: rows that are fitted to in any case; all others are then calibrated on.
    """
    rows = np.arange(len(groups))
    if fitted is not None:
        held = np.setdiff1d(rows, fitted)
        return Plan(((fitted, held),), fitted)
    names = np.array(sorted(set(groups)))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of_name = dict(zip(names[order].tolist(), (np.arange(len(names)) % FOLDS).tolist(), strict=True))
    fold = np.array([fold_of_name[group] for group in groups])
    if len(groups) > MAX_CROSS_FITTED:
        return Plan(((rows[fold != 0], rows[fold == 0]),), rows[fold != 0])
    used = [number for number in range(FOLDS) if (fold == number).any()]
    return Plan(tuple((rows[fold != n], rows[fold == n]) for n in used), rows)


def choose_parts(
    model: Autoencoder,
    extractor: FeatureExtractor,
    pictures: Sequence[Picture],
    candidates: Sequence[Candidate],
    plan: Plan,
    *,
    seed: int,
    report: Report = lambda _share, _text: None,
) -> tuple[list[Part], dict[str, float]]:
    """The parts of a detector, not yet fitted to all pictures, and the AUROC of each candidate.

    Each candidate is fitted to some pictures and tried on others with planted defects. The best is taken, and
    with it, as z-scores of equal weight, those that are strong and nearly as good.
    """
    first, held = plan.folds[0]
    random = np.random.default_rng(seed)
    fit_rows = np.sort(random.permutation(first)[:MAX_TRIED_FIT])
    tried = Chosen(pictures, np.sort(random.permutation(held)[:MAX_TRIED]))
    sizes = planted_sizes(tried)
    sizes = sizes if len(sizes) < 3 else [sizes[0], sizes[-2], None]
    found: list[tuple[float, Part]] = []
    table: dict[str, float] = {}
    for place, one in enumerate(candidates):
        report(place / len(candidates), "trying scores on planted defects")
        part = fit_part(model, extractor, one.kind, one.tiles, Chosen(pictures, fit_rows), seed=seed)
        clean = _scores(model, extractor, [part], tried)
        aurocs = [
            measure_auroc(clean, _scores(model, extractor, [part], PlantedPictures(tried, size, seed=seed)))
            for size in sizes
        ]
        spread = float(clean.std()) or 1e-12
        part = dataclasses.replace(part, centre=float(clean.mean()), spread=spread)
        found.append((float(np.mean(aurocs)), part))
        table[part.title] = round(float(np.mean(aurocs)), 3)
    best = max(auroc for auroc, _ in found)
    strong = [
        part
        for auroc, part in found
        if auroc == best or (auroc >= STRONG_AUROC and auroc >= best - STRONG_MARGIN)
    ]
    if best < STRONG_AUROC:
        strong = [next(part for auroc, part in found if auroc == best)]
    if len(strong) == 1:
        strong = [dataclasses.replace(strong[0], centre=0.0, spread=1.0)]
    return strong, table


def fit_to_pictures(
    model: Autoencoder,
    extractor: FeatureExtractor,
    pictures: Sequence[Picture],
    parts: Sequence[Part],
    plan: Plan,
    *,
    false_alarms: float,
    seed: int,
    report: Report = lambda _share, _text: None,
) -> Detector:
    """The detector of these parts: fitted, calibrated, and its detection power measured.

    Args:
        parts: say kind, tiles, and by what they are made z-scores; they are fitted here.
    """
    scores, peaks, planted = [], [], []
    total = plan.calibrated
    at_most = min(MAX_PLANTED_PICTURES, total)
    fitted: list[Part] = []
    for number, (fit_rows, held) in enumerate(plan.folds):
        report(number / len(plan.folds) * 0.9, "calibrating on held-out pictures")
        fitted = _fit_parts(model, extractor, parts, Chosen(pictures, fit_rows), seed)
        for start in range(0, len(held), PICTURES_PER_CHUNK):
            chunk = Chosen(pictures, held[start : start + PICTURES_PER_CHUNK])
            found = [(one.score, one.peak) for one in map_with_parts(model, extractor, fitted, chunk)]
            scores += [score for score, _ in found]
            peaks += [peak for _, peak in found]
            report((number + (start + len(chunk)) / len(held)) / len(plan.folds) * 0.9, "")
        share = math.ceil(at_most * len(held) / total)
        own = np.random.default_rng(seed).permutation(len(held))[:share]
        planted.append((fitted, Chosen(pictures, held[np.sort(own)])))
    if len(plan.folds) > 1:
        fitted = _fit_parts(model, extractor, parts, Chosen(pictures, plan.fitted), seed)
    detector = Detector(
        tuple(fitted), np.sort(np.array(scores)), np.sort(np.array(peaks)), false_alarms, len(plan.fitted)
    )
    report(0.92, "measuring detection power")
    power = _measure_over_folds(model, extractor, planted, detector.threshold, seed)
    return dataclasses.replace(detector, facts={"power": power_to_facts(power)})


def _measure_over_folds(
    model: Autoencoder,
    extractor: FeatureExtractor,
    planted: Sequence[tuple[list[Part], Chosen]],
    threshold: float,
    seed: int,
) -> list[PowerRow]:
    """Means over the folds, weighted by the number of planted defects."""
    parts_of_size: dict[int | None, list[PowerRow]] = {}
    sizes = set.intersection(*(set(planted_sizes(pictures)) for _, pictures in planted))
    ordered = [*sorted(size for size in sizes if size is not None), None]
    for place, (parts, pictures) in enumerate(planted):
        clean = _scores(model, extractor, parts, pictures)

        def score(some: Sequence[Picture], parts: list[Part] = parts) -> Scores:
            return _scores(model, extractor, parts, some)

        for row in measure_power(score, pictures, clean, threshold, seed=seed + 1000 * place, sizes=ordered):
            parts_of_size.setdefault(row.size_px, []).append(row)
    rows = []
    for size, own in parts_of_size.items():
        count = sum(row.planted for row in own)
        found, auroc = (
            sum(getattr(row, name) * row.planted for row in own) / count for name in ("found", "auroc")
        )
        rows.append(PowerRow(size, own[0].contrast, count, round(found, 4), round(auroc, 4)))
    return rows


def _fit_parts(
    model: Autoencoder, extractor: FeatureExtractor, parts: Sequence[Part], pictures: Chosen, seed: int
) -> list[Part]:
    return [
        dataclasses.replace(
            fit_part(model, extractor, part.kind, part.tiles, pictures, seed=seed),
            centre=part.centre,
            spread=part.spread,
        )
        for part in parts
    ]


def _scores(
    model: Autoencoder, extractor: FeatureExtractor, parts: Sequence[Part], pictures: Sequence[Picture]
) -> Scores:
    return np.array([one.score for one in map_with_parts(model, extractor, parts, pictures)], dtype=np.float64)
