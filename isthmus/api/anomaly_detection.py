"""Which images are unusual compared with normal ones, and where in them."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from isthmus.api.anomaly_result import AnomalyResult, Scorer
from isthmus.api.attachments import check_storable
from isthmus.api.detector_fitting import ScoreKind, note_detector, prepare_scorer, store_scorer
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ModelLike,
    PathLike,
    Range,
    check_choice,
    describe_model,
    load_model,
)
from isthmus.api.inspection_folder import take_new_files
from isthmus.api.pair_inputs import check_no_pairs
from isthmus.api.picture_listing import open_pictures
from isthmus.api.picture_masks import find_mask, read_mask
from isthmus.api.picture_source import PictureSource
from isthmus.api.reference import ReferenceKind
from isthmus.api.result import skipped_inputs, use
from isthmus.errors import UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import SkippedInput, log_note, log_skipped
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.features.marked_regions import Box
    from isthmus.features.pictures import PictureLook

_SECONDS_BETWEEN_UPDATES = 2.0  # of the progress, where pictures take long
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

    A score is fitted to normal images. Other normal images, which neither network nor score has seen, decide
    from which score on an image is flagged (conformal prediction, Vovk et al. 2005), and how many planted
    defects of known size are found. What is normal comes from `normal`, else from the detector in the model
    file, else from the training images. Images in folders named `good` and otherwise are compared with their
    names.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        normal: images that are known to be normal.
        score: how anomalies are scored, see docs/use/anomalies.md; by default as stored, else `auto`: what
            finds most planted defects.
        false_alarms: share of normal images that may be flagged, in (0, 1); by default as stored, else 0.01.
        tiles: cut pictures into overlapping tiles of the model's size, or never; by default what finds most
            planted defects.
        groups: normal images of one part, of which none may set the threshold for another: a file with lines
            `name,group`, or a regular expression for names whose first group is the part; by default those
            that a list of the images names.
        ignore_mask: a mask whose white pixels do not count, for all images, or a folder with one for each.
        masks: a folder with a mask for each defective image, white where the defect is: maps are compared
            with them.
        append: a folder of results of an earlier run: only files that it does not hold are scored.
        store: keep the fitted score in the model's file, for the next time.
        limit: at most this many images, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
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
            "false_alarms={false_alarms}: expected a share between 0 and 1",
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
    scorer, reference, skipped, normal_looks = prepare_scorer(
        network, normal, score, false_alarms, tiles, groups, ignore_mask, range, seed, progress
    )
    note_bands(show, source.channels)
    detector = scorer.detector
    if store:  # before the images are scored, so that it is kept when that is interrupted
        store_scorer(scorer, model)
    note_detector(detector)
    earlier_count = 0
    if append is not None:
        source, earlier_count = take_new_files(source, Path(append), detector)
    name = describe_model(model, network)
    return _score(scorer, source, reference, skipped, normal_looks, name, masks, earlier_count, progress)


def _score(
    scorer: Scorer,
    source: PictureSource,
    reference: ReferenceKind,
    skipped: tuple[SkippedInput, ...],
    normal_looks: tuple[PictureLook, ...],
    model_name: str,
    masks: PathLike | None,
    earlier_count: int,
    progress: Progress | None,
) -> AnomalyResult:
    """Score all pictures, a few at a time.

    Raises:
        KeyboardInterrupt: interrupted before any was scored.
    """
    import numpy as np

    from isthmus.evaluation.audit.near_overlap import log_near_copies
    from isthmus.evaluation.detection import MaskComparison, list_good_classes, measure_labels
    from isthmus.features.anomalies import map_with
    from isthmus.features.marked_regions import find_boxes, mark_pixels
    from isthmus.features.picture_looks import MAX_COMPARED, find_near_copies, list_differences
    from isthmus.features.picture_maps import enlarge_map
    from isthmus.features.pictures import count_tiles, measure_look
    from isthmus.features.power_rows import power_from_facts

    detector, stop = scorer.detector, Interruption()
    comparison = None if masks is None else MaskComparison()
    good = list_good_classes(source.classes)
    scored_rows: list[tuple[int, float, tuple[Box, ...]]] = []  # row, score and boxes of each picture
    differences: dict[str, int] = {}
    looks: list[PictureLook] = []  # of the first pictures, to compare with the normal ones
    tiles = 0
    skipped_before = len(source.skipped)
    factor = detector.parts[0].tiles if detector.kind != "segmentation" else 0
    with stop, start_task(progress, "scoring", len(source), "images") as task:
        for chunk_rows, pictures in source.iter_chunks(may_be_none=earlier_count > 0):
            last_update = time.monotonic()
            picture_maps = map_with(scorer.model, scorer.extractor, detector, pictures)
            for row, picture, picture_map in zip(chunk_rows, pictures, picture_maps, strict=True):
                shape, marked = picture.pixels.shape, None
                if picture_map.score > detector.threshold:
                    marked = mark_pixels(picture_map.heat, shape, detector.map_threshold, picture.ignored)
                if comparison is not None:
                    _compare(
                        comparison, masks, source, row, enlarge_map(picture_map.heat, shape), marked, good
                    )
                look = measure_look(picture)
                if normal_looks and len(looks) < MAX_COMPARED:
                    looks.append(look)
                for name in list_differences(look, detector.facts.get("looks")):
                    differences[name] = differences.get(name, 0) + 1
                if factor:
                    tiles += count_tiles(shape, factor, scorer.extractor.reading.size)
                scored_rows.append((row, picture_map.score, () if marked is None else find_boxes(marked)))
                if time.monotonic() - last_update > _SECONDS_BETWEEN_UPDATES:
                    last_update = time.monotonic()
                    task.update(len(scored_rows))
            task.update(len(scored_rows))
    rows, scores, boxes = (
        [row for row, _, _ in scored_rows],
        [value for _, value, _ in scored_rows],
        [b for _, _, b in scored_rows],
    )
    stop.check(len(scores), len(source), "image")
    log_skipped(source.skipped[skipped_before:])
    _note_differences(differences, len(scores))
    copies = dict.fromkeys(row for row, _ in find_near_copies(looks, normal_looks))
    log_near_copies([source.names[rows[row]] for row in copies], len(looks), "normal pictures")
    scored_source = source.subset(rows)
    values = np.array(scores, dtype=np.float64)
    flagged = values > detector.threshold
    labels = None
    if good and scored_source.labels is not None:
        defective = np.array(
            [scored_source.classes[label] not in good for label in scored_source.labels], dtype=bool
        )
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
        known_images=earlier_count,
        names=scored_source.names,
        scores=values,
        flagged=flagged,
        chance=detector.p_value(values),
        skipped=skipped_inputs(source.skipped, skipped),
        complete=stop.complete,
        _boxes=tuple(boxes),
        _scorer=scorer,
        _source=scored_source,
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
    if source.labels is not None and source.classes[source.labels[row]] in good:
        mask = np.zeros(heat.shape, dtype=bool)
    else:
        path = find_mask(Path(os.fspath(masks or "")), name)
        if path is None:
            return
        mask = read_mask(path, heat.shape)
    comparison.add(heat, mask, np.zeros(heat.shape, dtype=bool) if marked is None else marked)


def _note_differences(differences: dict[str, int], count: int) -> None:
    """Log in what many new pictures differ from normal ones."""
    far = {name: number for name, number in differences.items() if number > FAR_SHARE * count}
    if not far:
        return
    log_note(
        "{images} of {count} differ from the normal ones in {what} so much that their verdicts are not "
        "reliable",
        id="anomalies.other-pictures",
        log_level=logging.WARNING,
        images=format_count(max(far.values()), "picture"),
        count=count,
        what=" and ".join(sorted(far)),
    )
