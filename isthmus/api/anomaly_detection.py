"""Which images are unusual compared with normal ones, and where in them."""

from __future__ import annotations

import builtins
import logging
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from isthmus.api.anomaly_result import AnomalyResult, Scorer
from isthmus.api.attachments import check_storable, store_attachments
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ModelLike,
    PathLike,
    Range,
    check_choice,
    describe_model,
    load_model,
    refuse_unused,
)
from isthmus.api.inspection_folder import take_new_files
from isthmus.api.normal_pictures import resolve_normal_pictures
from isthmus.api.pair_inputs import check_no_pairs
from isthmus.api.picture_source import PictureSource, ReadablePictures, find_mask, open_pictures, read_mask
from isthmus.api.reference import ReferenceKind, resolve_extractor
from isthmus.api.result import skipped_inputs, use
from isthmus.errors import UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import SkippedInput, log_note, log_skipped
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    from isthmus.features.anomalies import Detector
    from isthmus.features.detector_choice import Candidate
    from isthmus.features.readout import FeatureExtractor
    from isthmus.model.autoencoder import Autoencoder

ScoreKind = Literal["auto", "segmentation", "density", "mixture", "neighbour", "local", "reconstruction"]
DEFAULT_SCORE: Literal["density"] = "density"
DEFAULT_FALSE_ALARMS = 0.01
LARGER = 1.5  # times the model's side: pictures in which tiles show more than the whole resized
FAR_SHARE = 0.2  # of new pictures that may look unlike normal ones before it is noted


@rename_keywords(tile="tiles")
@use
def anomalies(
    model: ModelLike,
    data: DataLike,
    *,
    normal: DataLike | None = None,
    score: ScoreKind | None = None,
    false_alarms: float | None = None,
    tiles: bool | None = None,
    groups: PathLike | None = None,
    ignore_mask: PathLike | None = None,
    masks: PathLike | None = None,
    append: PathLike | None = None,
    store: bool = False,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> AnomalyResult:
    """Score how unusual images are compared with normal ones, and show where.

    A score is fitted to normal images; others of them, which neither network nor score has seen, decide from
    which score on an image is flagged (conformal prediction, Vovk et al. 2005), and how many planted defects
    of known size are found. What is normal comes from `normal`, else from the detector in the model file,
    else from the training images. Images in folders named `good` and otherwise are compared with their names.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        normal: images that are known to be normal.
        score: how unusual is measured, see docs/use/anomalies.md; by default as stored, else `auto`: what
            finds most planted defects.
        false_alarms: share of normal images that may be flagged, in (0, 1); by default as stored, else 0.01.
        tiles: cut pictures into overlapping tiles of the model's size, or never; by default what finds most
            planted defects.
        groups: normal images of one part, of which none may set the threshold for another: a file with lines
            `name,group`, or a regular expression for names whose first group is the part.
        ignore_mask: a mask whose white pixels do not count, for all images, or a folder with one for each.
        masks: a folder with a mask for each defective image, white where the defect is: maps are compared
            with them.
        append: a folder of results of an earlier run: only files that it does not hold are scored.
        store: keep the fitted score in the model's file, for the next time.
        limit: at most so many images, evenly spaced.
        range: the samples (low, high) that stand for black and white, where they are others.
        seed: which normal images are held out.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown score or an impossible rate.
        CapabilityError: the score `segmentation` and a model that marks no defects.
        DataError: unreadable images, too few normal ones, or none known to be normal.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((60, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> found = isthmus.anomalies(model, images[:5], normal=images, score="density")
        >>> found.scores.shape, found[0].heat.shape
        ((5,), (16, 16))
    """
    check_choice("score", score, get_args(ScoreKind))
    if false_alarms is not None and not 0 < false_alarms < 1:
        raise UsageError(
            "false_alarms={false_alarms}: a share between 0 and 1 is expected",
            id="anomalies.false-alarm-share",
            false_alarms=false_alarms,
        )
    if store:
        check_storable(model)
    network = load_model(model)
    source = open_pictures(network, data, limit=limit, range=range, ignore_mask=ignore_mask)
    if score == "reconstruction":
        check_no_pairs(network, "the score by reconstruction")
    if score == "segmentation":
        from isthmus.model.capabilities import check_marks

        check_marks(network.recipe)
    scorer, reference, skipped = _prepare(
        network, normal, score, false_alarms, tiles, groups, ignore_mask, range, seed, progress
    )
    note_bands(show, source.channels)
    detector = scorer.detector
    if store:  # before the images are scored, so that it is kept when that is interrupted
        _store(scorer, model)
    _note_detector(detector)
    known = 0
    if append is not None:
        source, known = take_new_files(source, Path(append), detector)
    return _score(scorer, source, reference, skipped, describe_model(model, network), masks, known, progress)


def _prepare(
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
) -> tuple[Scorer, ReferenceKind, tuple[SkippedInput, ...]]:
    """The detector by the training-data policy, where its normal images come from, and which were skipped."""
    from isthmus.features.anomalies import read_detector

    stored = read_detector(model) if normal is None else None
    if stored is not None and score in (None, stored.kind):
        if groups is not None:
            refuse_unused("groups", "where the stored detector is used")
        extractor, _ = resolve_extractor(model)
        if false_alarms is not None:
            stored = stored.with_rate(false_alarms)
        if tiles is not None and len(stored.parts) == 1 and stored.kind != "segmentation":
            part = stored.parts[0]
            if bool(part.tiles) != tiles:
                log_note(
                    "the stored threshold is for {stored}: with the other kind of pieces it means little; "
                    "give normal images",
                    id="anomalies.stored-for-other-pieces",
                    log_level=logging.WARNING,
                    stored="tiles" if part.tiles else "whole pictures",
                )
                stored = replace(stored, parts=(replace(part, tiles=int(tiles)),))
        return Scorer(model, extractor, stored), "model", ()
    purpose = "what is normal is not known"
    if stored is not None:
        purpose = f"this model holds the score '{stored.kind}': for '{score}' {purpose}"
    with start_task(progress, "fitting to normal images", 1) as task:
        found = resolve_normal_pictures(
            model,
            normal,
            purpose=purpose,
            groups=groups,
            ignore_mask=ignore_mask,
            range=range,
            seed=seed,
            task=task,
        )
        extractor = _resolve_extractor(model, found.source)
        detector = _fit(
            model, extractor, found, score, tiles, false_alarms or DEFAULT_FALSE_ALARMS, seed, task
        )
        task.update(1)
    return Scorer(model, extractor, detector), found.reference, tuple(found.source.skipped)


def _fit(
    model: Autoencoder,
    extractor: FeatureExtractor,
    normal: Any,
    score: ScoreKind | None,
    tiles: bool | None,
    false_alarms: float,
    seed: int,
    task: Any,
) -> Detector:
    from isthmus.features.anomalies import MIN_NORMAL_IMAGES, check_enough
    from isthmus.features.detector_choice import NormalRows, choose_parts, fit_to_pictures
    from isthmus.features.picture_looks import looks_to_facts
    from isthmus.features.picture_scores import Part

    sizes = [(look.height, look.width) for look in normal.looks]
    candidates = list_candidates(model, extractor.reading.size, sizes, score, tiles)
    check_enough(len(normal.source), 3 if any(one.tiles for one in candidates) else MIN_NORMAL_IMAGES)
    rows = NormalRows(model, extractor, ReadablePictures(normal.source))
    if len(candidates) > 1:
        parts, table = choose_parts(
            rows,
            candidates,
            normal.plan,
            seed=seed,
            report=lambda share, text: task.update(0.3 + 0.3 * share, text),
        )
        log_note(
            "score {chosen}, by the AUROC on planted defects: {table}",
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

    height, width = (float(np.median([one[axis] for one in sizes])) for axis in (0, 1))
    is_larger = height >= LARGER * size[0] or width >= LARGER * size[1]
    pieces = [0, 1] if is_larger else [0]
    coarse = int(min(height / size[0], width / size[1]) / 2)
    if coarse >= 2:
        pieces.append(coarse)
    if tiles is not None:
        pieces = [one for one in pieces if bool(one) == tiles] or [int(tiles)]
    marks = model.recipe.corruption.marks_defects
    if score == "segmentation":
        return [Candidate("segmentation", 1)]
    if score not in (None, "auto"):
        return [Candidate(score, one) for one in pieces]
    found = [Candidate("segmentation", 1)] if marks else []
    found += [Candidate(kind, one) for one in pieces for kind in ("density", "local")]  # type: ignore[arg-type]
    if not model.recipe.corruption.is_paired:
        found.append(Candidate("reconstruction", pieces[0]))
    return found


def _resolve_extractor(model: Autoencoder, normal: PictureSource) -> FeatureExtractor:
    """As the model stores it, else fitted to some of the normal pictures, at the model's size."""
    import numpy as np

    from isthmus.api.reference import fit_extractor_to_data
    from isthmus.features.picture_scores import to_unit
    from isthmus.features.readout import read_extractor
    from isthmus.images.conform import fit
    from isthmus.images.store import ImageSet

    own = read_extractor(model)
    if own is not None:
        return own
    rows = np.linspace(0, len(normal) - 1, min(len(normal), 500)).round().astype(int)
    pixels = np.stack([fit(to_unit(normal.read(int(row)).pixels), model.size) for row in np.unique(rows)])
    names = tuple(map(str, builtins.range(len(pixels))))
    return fit_extractor_to_data(model, ImageSet(pixels, names, source=normal.source))


def _store(scorer: Scorer, model: ModelLike) -> None:
    from isthmus.features.anomalies import NAME, store_detector
    from isthmus.features.readout import NAME as EXTRACTOR

    store_detector(scorer.model, scorer.detector, scorer.extractor)
    store_attachments(model, scorer.model, EXTRACTOR, NAME)


def _note_detector(detector: Detector) -> None:
    """Log what weakens a detector: too few held-out pictures for the rate, or power near chance."""
    from isthmus.features.detection_power import is_near_chance, power_from_facts

    held_out = len(detector.calibration)
    if math.isinf(detector.threshold):
        log_note(
            "nothing can be flagged: no normal images were held out",
            id="anomalies.nothing-flagged",
            log_level=logging.WARNING,
        )
    elif detector.asked_rate < detector.least_rate:
        log_note(
            "{images} {were} held out, which is too few for {asked:g} false alarms: a rate of {rate:g} is used",
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
            "this detector hardly sees planted defects (AUROC {auroc:.2f}; 0.5 is chance): its verdicts mean "
            "little; train a model with recipe defects, or longer",
            id="anomalies.near-chance",
            log_level=logging.WARNING,
            auroc=max(row.auroc for row in rows),
        )


def _score(
    scorer: Scorer,
    source: PictureSource,
    reference: ReferenceKind,
    skipped: tuple[SkippedInput, ...],
    model_name: str,
    masks: PathLike | None,
    known: int,
    progress: Progress | None,
) -> AnomalyResult:
    """Score all pictures, a few at a time.

    Raises:
        KeyboardInterrupt: interrupted before any was scored.
    """
    import numpy as np

    from isthmus.evaluation.detection import MaskComparison, list_good_classes, measure_labels
    from isthmus.features.anomalies import map_with
    from isthmus.features.detection_power import power_from_facts
    from isthmus.features.marked_regions import find_boxes, mark_pixels
    from isthmus.features.picture_looks import list_differences, measure_look
    from isthmus.features.picture_scores import count_tiles, enlarge_map

    detector, stop = scorer.detector, Interruption()
    comparison = None if masks is None else MaskComparison()
    good = list_good_classes(source.classes)
    rows: list[int] = []
    scores: list[float] = []
    boxes: list[tuple[Any, ...]] = []
    differences: dict[str, int] = {}
    tiles = 0
    before = len(source.skipped)
    factor = detector.parts[0].tiles if detector.kind != "segmentation" else 0
    with stop, start_task(progress, "scoring", len(source), "images") as task:
        for chunk_rows, pictures in source.iter_chunks():
            found = map_with(scorer.model, scorer.extractor, detector, pictures)
            part: list[tuple[float, tuple[Any, ...]]] = []
            for row, picture, one in zip(chunk_rows, pictures, found, strict=True):
                shape, marked = picture.pixels.shape, None
                if one.score > detector.threshold:
                    marked = mark_pixels(one.heat, shape, detector.map_threshold, picture.ignored)
                part.append((one.score, () if marked is None else find_boxes(marked)))
                if comparison is not None:
                    _compare(comparison, masks, source, row, enlarge_map(one.heat, shape), marked, good)
                for name in list_differences(measure_look(picture), detector.facts.get("looks")):
                    differences[name] = differences.get(name, 0) + 1
                if factor:
                    tiles += count_tiles(shape, factor, scorer.extractor.reading.size)
                if task.total <= 1000 or len(part) == len(pictures):
                    task.update(len(rows) + len(part))
            rows += chunk_rows
            scores += [value for value, _ in part]
            boxes += [own for _, own in part]
    stop.check(len(scores), len(source), "image")
    log_skipped(source.skipped[before:])
    _note_differences(differences, len(scores))
    kept = source.subset(rows)
    values = np.array(scores, dtype=np.float64)
    flagged = values > detector.threshold
    labels = None
    if good and kept.labels is not None:
        defective = np.array([kept.classes[label] not in good for label in kept.labels], dtype=bool)
        labels = measure_labels(defective, values, flagged, good) if len(values) else None
    return AnomalyResult(
        model=model_name,
        score=detector.kind,
        normal_images=detector.normal_images,
        held_out_images=len(detector.calibration),
        reference=reference,
        false_alarms=detector.false_alarms,
        threshold=detector.threshold,
        tiles=tiles if factor else None,
        power=power_from_facts(detector.facts.get("power")),
        labels=labels,
        masks=None if comparison is None else comparison.result(),
        known_images=known,
        names=kept.names,
        scores=values,
        flagged=flagged,
        chance=detector.p_value(values),
        skipped=skipped_inputs(source.skipped, skipped),
        complete=stop.complete,
        _boxes=tuple(boxes),
        _scorer=scorer,
        _source=kept,
    )


def _compare(
    comparison: Any,
    masks: PathLike | None,
    source: PictureSource,
    row: int,
    heat: Any,
    marked: Any,
    good: tuple[str, ...],
) -> None:
    """Add a picture to the comparison with masks; a good picture has none of its own."""
    import numpy as np

    name = source.names[row]
    path = find_mask(Path(os.fspath(masks or "")), name)
    is_good = source.labels is not None and source.classes[source.labels[row]] in good
    if path is not None:
        mask = read_mask(path, heat.shape)
    elif is_good:
        mask = np.zeros(heat.shape, dtype=bool)
    else:
        return
    comparison.add(heat, mask, np.zeros(heat.shape, dtype=bool) if marked is None else marked)


def _note_differences(differences: dict[str, int], count: int) -> None:
    """Log in what many new pictures differ from normal ones."""
    far = {name: number for name, number in differences.items() if number > FAR_SHARE * count}
    if not far:
        return
    log_note(
        "{images} of {count} differ from the normal ones in {what} so much that their verdict means little",
        id="anomalies.other-pictures",
        log_level=logging.WARNING,
        images=format_count(max(far.values()), "picture"),
        count=count,
        what=" and ".join(sorted(far)),
    )
