"""The detector that `isthmus.anomalies` scores with: stored, or fitted to normal pictures."""

from __future__ import annotations

import builtins
import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from isthmus.api.anomaly_result import Scorer
from isthmus.api.attachments import store_attachments
from isthmus.api.inputs import DataLike, ModelLike, PathLike, Range, refuse_unused
from isthmus.api.normal_pictures import NormalPictures, resolve_normal_pictures
from isthmus.api.picture_source import PictureSource
from isthmus.api.reference import ReferenceKind, resolve_extractor
from isthmus.log import SkippedInput, log_note, log_skipped
from isthmus.progress import Progress, Task, start_task
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    from isthmus.features.anomalies import Detector
    from isthmus.features.anomaly_kinds import Kind
    from isthmus.features.detector_choice import Candidate
    from isthmus.features.pictures import PictureLook
    from isthmus.features.readout import FeatureExtractor
    from isthmus.model.autoencoder import Autoencoder

ScoreKind = Literal[
    "auto",
    "segmentation",
    "structure",
    "levels",
    "density",
    "mixture",
    "neighbour",
    "local",
    "reconstruction",
]
DEFAULT_SCORE: Literal["density"] = "density"
DEFAULT_FALSE_ALARMS = 0.01
MAX_EXTRACTOR_IMAGES = 500  # normal pictures that an extractor is fitted to
_OF_WHOLE_PICTURES = ("segmentation", "structure", "levels")  # at their own size
LARGER = 1.5  # times the model's side: pictures in which tiles show more than the whole resized


def prepare_scorer(
    model: Autoencoder,
    normal: DataLike | None,
    score: ScoreKind | None,
    false_alarms: float | None,
    tiles: bool | None,
    groups: PathLike | None,
    ignore_mask: PathLike | None,
    range: Range | None,
    seed: int,
    progress: Progress | None,
) -> tuple[Scorer, ReferenceKind, tuple[SkippedInput, ...], tuple[PictureLook, ...]]:
    """The detector by the training-data policy, where its normal images come from, and which were skipped.

    Last how the normal images look; none where the detector is stored.
    """
    from isthmus.features.anomalies import read_detector

    stored = read_detector(model) if normal is None else None
    if stored is not None and score in (None, stored.kind):
        if groups is not None:
            refuse_unused("groups", "where the stored detector is used")
        extractor, _ = resolve_extractor(model)
        if false_alarms is not None:
            stored = stored.with_rate(false_alarms)
        if tiles is not None and len(stored.parts) == 1 and stored.kind not in _OF_WHOLE_PICTURES:
            part = stored.parts[0]
            if bool(part.tiles) != tiles:
                log_note(
                    "the stored threshold was calibrated on {stored}, so it does not hold here: give "
                    "normal images to calibrate again",
                    id="anomalies.stored-for-other-pieces",
                    log_level=logging.WARNING,
                    stored="tiles" if part.tiles else "whole pictures",
                )
                stored = replace(stored, parts=(replace(part, tiles=int(tiles)),))
        return Scorer(model, extractor, stored), "model", (), ()
    purpose = "what is normal is not known"
    if stored is not None:
        purpose = f"this model holds the score '{stored.kind}': for '{score}' {purpose}"
    with start_task(progress, "fitting to normal images", 1) as task:
        normal_pictures = resolve_normal_pictures(
            model,
            normal,
            purpose=purpose,
            groups=groups,
            ignore_mask=ignore_mask,
            range=range,
            seed=seed,
            task=task,
        )
        extractor = _resolve_extractor(model, normal_pictures.source)
        detector = _fit(
            model, extractor, normal_pictures, score, tiles, false_alarms or DEFAULT_FALSE_ALARMS, seed, task
        )
        task.update(1)
    log_skipped(normal_pictures.source.skipped)
    return (
        Scorer(model, extractor, detector),
        normal_pictures.reference,
        tuple(normal_pictures.source.skipped),
        normal_pictures.looks,
    )


def _fit(
    model: Autoencoder,
    extractor: FeatureExtractor,
    normal: NormalPictures,
    score: ScoreKind | None,
    tiles: bool | None,
    false_alarms: float,
    seed: int,
    task: Task,
) -> Detector:
    from isthmus.features.anomalies import MIN_NORMAL_IMAGES, check_enough
    from isthmus.features.detector_calibration import fit_to_pictures
    from isthmus.features.detector_choice import choose_parts
    from isthmus.features.normal_rows import NormalRows
    from isthmus.features.picture_looks import looks_to_facts
    from isthmus.features.picture_maps import Part

    sizes = [(look.height, look.width) for look in normal.looks]
    candidates = list_candidates(model, extractor.reading.size, sizes, score, tiles)
    check_enough(
        len(normal.source), 3 if any(candidate.tiles for candidate in candidates) else MIN_NORMAL_IMAGES
    )
    rows = NormalRows(model, extractor, normal.source, normal.trained_on)
    if len(candidates) > 1:
        parts, table = choose_parts(
            rows,
            candidates,
            normal.plan,
            false_alarms=false_alarms,
            seed=seed,
            report=lambda share, text: task.update(0.3 + 0.3 * share, text),
        )
        log_note(
            "score {chosen}; AUROC of each on planted defects: {table}",
            id="anomalies.score-chosen",
            chosen=" + ".join(part.title for part in parts),
            table=", ".join(f"{name} {value:.2f}" for name, value in table.items()),
        )
    else:
        parts = [Part(candidates[0].kind, candidates[0].tiles, "max", {})]
    detector = fit_to_pictures(
        rows,
        parts,
        normal.plan,
        false_alarms=false_alarms,
        seed=seed,
        report=lambda share, text: task.update(0.6 + 0.4 * share, text),
    )
    return replace(detector, facts={**detector.facts, "looks": looks_to_facts(normal.looks)})


def list_candidates(
    model: Autoencoder,
    size: tuple[int, int],
    sizes: list[tuple[int, int]],
    score: ScoreKind | None,
    tiles: bool | None,
) -> list[Candidate]:
    """Kinds of scores that are tried, of whole pictures and of tiles where pictures are larger than these.

    Args:
        size: of the model's tiles.
        sizes: of the normal pictures.
    """
    import numpy as np

    from isthmus.features.detector_choice import Candidate

    height, width = (float(np.median([picture_size[axis] for picture_size in sizes])) for axis in (0, 1))
    is_larger = height >= LARGER * size[0] or width >= LARGER * size[1]
    pieces = [0, 1] if is_larger else [0]
    coarse = int(min(height / size[0], width / size[1]) / 2)
    if coarse >= 2:
        pieces.append(coarse)
    if tiles is not None:
        pieces = [factor for factor in pieces if bool(factor) == tiles] or [int(tiles)]
    marks = model.recipe.corruption.marks_defects
    if score == "segmentation":
        return [Candidate("segmentation", 1)]
    if score in ("structure", "levels"):
        return [Candidate(score, 0)]
    if score is not None and score != "auto":
        return [Candidate(score, count) for count in pieces]
    # `levels` finds planted defects better than real ones (solar cells: .91 and .75), so it is no candidate:
    # `structure` measures the same and more.
    candidates = [Candidate("segmentation", 1)] if marks else []
    if tiles is not True:
        candidates.append(Candidate("structure", 0))
    kinds: tuple[Kind, ...] = ("density", "local")
    candidates += [Candidate(kind, count) for count in pieces for kind in kinds]
    if not model.recipe.corruption.is_paired:
        candidates.append(Candidate("reconstruction", pieces[0]))
    return candidates


def _resolve_extractor(model: Autoencoder, normal: PictureSource) -> FeatureExtractor:
    """As the model stores it, else fitted to some of the normal pictures, at the model's size."""
    import numpy as np

    from isthmus.api.reference import fit_extractor_to_data
    from isthmus.features.pictures import to_unit
    from isthmus.features.readout import read_extractor
    from isthmus.images.conform import fit
    from isthmus.images.store import ImageSet
    from isthmus.images.subsets import even_rows

    stored = read_extractor(model)
    if stored is not None:
        return stored
    rows = even_rows(len(normal), MAX_EXTRACTOR_IMAGES)
    pixels = np.stack([fit(to_unit(normal[int(row)].pixels), model.size) for row in rows])
    names = tuple(map(str, builtins.range(len(pixels))))
    return fit_extractor_to_data(model, ImageSet(pixels, names, source=normal.source))


def store_scorer(scorer: Scorer, model: ModelLike) -> None:
    """Keep detector and extractor in the model, and in its file."""
    from isthmus.features.anomalies import NAME, store_detector
    from isthmus.features.readout import NAME as EXTRACTOR

    store_detector(scorer.model, scorer.detector, scorer.extractor)
    store_attachments(model, scorer.model, EXTRACTOR, NAME)


def note_detector(detector: Detector) -> None:
    """Log what weakens a detector: too few held-out pictures for the rate, or power near chance."""
    from isthmus.features.power_rows import is_near_chance, power_from_facts

    held_out = len(detector.calibration)
    if math.isinf(detector.threshold):
        log_note(
            "nothing can be flagged: no normal images were held out",
            id="anomalies.nothing-flagged",
            log_level=logging.WARNING,
        )
    elif detector.asked_rate < detector.least_rate:
        log_note(
            "{images} {were} held out, too few for {asked:g} false alarms: a rate of {rate:g} is used",
            id="anomalies.rate-raised",
            log_level=logging.WARNING,
            images=format_count(held_out, "normal image"),
            were=choose_word(held_out, "was", "were"),
            asked=detector.asked_rate,
            rate=math.ceil(1000 * detector.least_rate) / 1000,
        )
    rows = power_from_facts(detector.facts.get("power"))
    if is_near_chance(rows):
        log_note(
            "this detector hardly finds planted defects (AUROC {auroc:.2f}; 0.5 is chance), "
            "so do not rely on its verdicts: train a model with recipe defects, or longer",
            id="anomalies.near-chance",
            log_level=logging.WARNING,
            auroc=max(row.auroc for row in rows),
        )
