"""Fit a detector to normal pictures, calibrate it by picture, and measure its detection power.

Calibration scores come from pictures that the score was not fitted to. Where few are held out, pictures are
divided into folds, each is scored by a fit to the others (cross-conformal prediction, Vovk 2015), and the
detector itself is fitted to all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.features.anomalies import Detector
from isthmus.features.normal_rows import Chosen, NormalRows, Rows
from isthmus.features.picture_maps import Part, average_scores
from isthmus.features.planted_defects import MAX_PLANTED_PICTURES, measure_row, planted_sizes
from isthmus.features.power_rows import PowerRow, power_to_facts

Report = Callable[[float, str], None]

FOLDS = 5
MAX_CROSS_FITTED = 500  # pictures; of more, a fifth is enough to calibrate on
MEASURED_SEED = 104_729  # added for the planted defects that power is measured with, which choose nothing


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
    normal.expect([(part.kind, part.tiles) for part in parts])
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
    seed += MEASURED_SEED
    power = []
    for place, size in enumerate(ordered):
        report(0.7 + 0.3 * place / len(ordered), "measuring detection power")
        planted = [
            average_scores(parts, normal.score_planted(parts, rows, size, seed=seed)) for parts, rows in tried
        ]
        power.append(measure_row(size, clean, np.concatenate(planted), threshold))
    return power
