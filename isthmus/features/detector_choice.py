"""Choose the scores of a detector by what they find of planted defects.

Areas under the curve say which scores are weak, but strong ones all come to one, and it is the tail of good
pictures that decides what is flagged. So strong scores, and their mean, are compared by the share of
planted defects that they find at the threshold that held-out good pictures give for the rate that was asked
for. These planted defects are others than those that detection power is reported for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isthmus.features.anomalies import Detector, Scores
from isthmus.features.anomaly_kinds import Kind
from isthmus.features.detector_calibration import MAX_CROSS_FITTED, Plan, Report
from isthmus.features.normal_rows import Chosen, NormalRows, Rows
from isthmus.features.picture_maps import Part, average_scores
from isthmus.features.planted_defects import measure_auroc, planted_sizes

MAX_TRIED_FIT, MAX_TRIED = 150, 24  # pictures that candidates are fitted to and tried on
STRONG_AUROC = 0.75  # a score this good on planted defects is averaged with the others
STRONG_MARGIN = 0.08  # of the best one, within which it must lie
MEAN_MARGIN = 0.01  # of the best one, within which the mean of the strong ones must lie
CLEAR_SHARE = 0.2  # of the planted defects, that one score must find more than the mean to be taken alone
MIN_EXCEEDING = 3  # good pictures above a second threshold, so that no single picture decides

Folds = list[tuple[Rows, Rows]]
TRYING = "trying scores on planted defects"


@dataclass(frozen=True)
class Candidate:
    """A kind of score, of whole pictures or tiles (`Part.tiles`)."""

    kind: Kind
    tiles: int


@dataclass(frozen=True)
class _Trial:
    """How a candidate scores pictures that it was not fitted to.

    Attributes:
        part: not fitted.
        clean: `(n,)` scores of pictures as they are.
        planted: `(sizes, n)` scores of the same pictures with a defect.
        fitted: `part`, fitted in each fold.
    """

    part: Part
    clean: Scores
    planted: Scores
    fitted: tuple[Part, ...] = ()

    @property
    def auroc(self) -> float:
        """The mean over sizes of defects."""
        return float(np.mean([measure_auroc(self.clean, scores) for scores in self.planted]))


def choose_parts(
    normal: NormalRows,
    candidates: Sequence[Candidate],
    plan: Plan,
    *,
    false_alarms: float,
    seed: int,
    report: Report = lambda _share, _text: None,
) -> tuple[list[Part], dict[str, float]]:
    """The parts of a detector, not yet fitted, and the AUROC of each candidate.

    Each candidate is fitted to some pictures and tried on others with planted defects, in all folds, so that
    pictures of several groups are tried. Those that are strong and nearly as good as the best are taken, as
    z-scores of equal weight, unless one of them alone is clearly better.

    Args:
        false_alarms: the rate at which strong candidates and their mean are compared.
    """
    random = np.random.default_rng(seed)
    each = -(-normal.at_most(MAX_TRIED, int(plan.folds[0][1][0])) // len(plan.folds))
    folds = [
        (np.sort(random.permutation(first)[:MAX_TRIED_FIT]), np.sort(random.permutation(held_out)[:each]))
        for first, held_out in plan.folds
    ]
    trials = _try_candidates(normal, candidates, folds, seed, report)
    table = {trial.part.title: round(trial.auroc, 3) for trial in trials}
    best = max(trials, key=lambda trial: trial.auroc)
    least = max(STRONG_AUROC, best.auroc - STRONG_MARGIN)
    strong = [trial for trial in trials if trial.auroc >= least]
    if len(strong) < 2:
        return [best.part], table
    most = -(-MAX_CROSS_FITTED // len(plan.folds))
    calibrated = [np.sort(random.permutation(held_out)[:most]) for _, held_out in plan.folds]
    return _choose_of_strong(normal, strong, calibrated, false_alarms, report), table


def _try_candidates(
    normal: NormalRows, candidates: Sequence[Candidate], folds: Folds, seed: int, report: Report
) -> list[_Trial]:
    """A trial of each candidate, with small, large and very large defects."""
    sizes = planted_sizes(Chosen(normal.pictures, np.concatenate([held_out for _, held_out in folds])))
    sizes = sizes if len(sizes) < 3 else [sizes[0], sizes[-2], None]
    normal.expect([(candidate.kind, candidate.tiles) for candidate in candidates])
    trials: dict[Candidate, _Trial] = {}
    for tiles in dict.fromkeys(candidate.tiles for candidate in candidates):  # they read the same layer
        group = [candidate for candidate in candidates if candidate.tiles == tiles]
        clean: list[list[Scores]] = []
        planted, fitted = [], []
        for number, (first, held_out) in enumerate(folds):  # pooled: what differs between groups counts
            share = (len(trials) + len(group) * number / len(folds)) / len(candidates)
            report(0.7 * share, TRYING)
            parts = []
            clean.append([])
            for own in group:
                parts.append(normal.fit(Part(own.kind, own.tiles, "max", {}), first, seed))
                clean[-1].append(normal.scores(parts[-1:], held_out))
            planted.append([normal.score_planted(parts, held_out, size, seed=seed) for size in sizes])
            fitted.append(parts)
        pooled = np.concatenate(planted, 2)  # (sizes, parts, pictures)
        for place, (own, scores) in enumerate(zip(group, np.concatenate(clean, 1), strict=True)):
            own_fits = tuple(parts[place] for parts in fitted)
            trials[own] = _Trial(Part(own.kind, own.tiles, "max", {}), scores, pooled[:, place], own_fits)
    return [trials[candidate] for candidate in candidates]


def _choose_of_strong(
    normal: NormalRows,
    strong: Sequence[_Trial],
    held_out: Sequence[Rows],
    false_alarms: float,
    report: Report,
) -> list[Part]:
    """All of them, to be averaged, unless the mean is weaker than the best, or one finds clearly more.

    Clearly means a fifth of all planted defects, at the threshold for this rate and at one that some good
    pictures exceed. A smaller lead may be luck: at a rate of .01 the threshold is often the highest score of
    the good pictures, and to take the luckiest of several scores raises false alarms.
    """
    parts, calibration = [], []
    normal.expect([(trial.part.kind, trial.part.tiles) for trial in strong])
    for number, trial in enumerate(strong):
        report(0.7 + 0.3 * number / len(strong), TRYING)
        measured = [
            values
            for part, rows in zip(trial.fitted, held_out, strict=True)
            for values in normal.measure([part], rows)
        ]
        scores, peaks = np.array(measured, dtype=np.float64).T
        calibration.append(scores)
        parts.append(
            dataclasses.replace(
                trial.part,
                centre=float(scores.mean()),
                spread=max(float(scores.std()), 1e-12),
                map_centre=float(peaks.mean()),
                map_spread=max(float(peaks.std()), 1e-12),
            )
        )
    planted = np.stack([trial.planted.ravel() for trial in strong])
    mean = _Trial(
        parts[0],
        average_scores(parts, np.stack([trial.clean for trial in strong])),
        average_scores(parts, planted).reshape(strong[0].planted.shape),
    )
    best = max(strong, key=lambda trial: trial.auroc)
    if mean.auroc < best.auroc - MEAN_MARGIN:
        return [best.part]
    rates = false_alarms, max(false_alarms, MIN_EXCEEDING / (len(calibration[0]) + 1))
    by_mean = _find_shares(average_scores(parts, np.stack(calibration)), mean.planted, rates)
    more = [
        float((_find_shares(scores, trial.planted, rates) - by_mean).min())
        for scores, trial in zip(calibration, strong, strict=True)
    ]
    alone = int(np.argmax(more))
    return [strong[alone].part] if more[alone] >= CLEAR_SHARE else parts


def _find_shares(calibration: Scores, planted: Scores, rates: Sequence[float]) -> Scores:
    """The share of the planted defects above the threshold that good pictures give for each rate."""
    detector = Detector((), np.sort(calibration), np.empty(0), rates[0], 0)
    return np.array([np.mean(planted > detector.with_rate(rate).threshold) for rate in rates])
