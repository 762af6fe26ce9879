"""Which normal pictures a detector is fitted to, and which, unseen by network and score, calibrate it."""

from __future__ import annotations

import builtins
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.api.inputs import DataLike, PathLike, Range
from isthmus.api.picture_listing import open_pictures
from isthmus.api.picture_source import PictureSource
from isthmus.api.reference import ReferenceKind
from isthmus.errors import DataError, Hint
from isthmus.log import log_note
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.detector_calibration import Plan
    from isthmus.features.pictures import PictureLook
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.progress import Task

MIN_UNSEEN = 10  # pictures that the network was not trained on, with which a threshold can be set
MIN_UNSEEN_FOLDS = 20  # from this number on, a score of masks is also fitted to unseen pictures


@dataclass(frozen=True)
class NormalPictures:
    """Normal pictures and how they are used.

    Attributes:
        source: the pictures, without those that cannot be read.
        reference: where they come from.
        plan: which are fitted to, which calibrated on.
        looks: of each.
        trained_on: rows in no plan, because the network was trained on them.
    """

    source: PictureSource
    reference: ReferenceKind
    plan: Plan
    looks: tuple[PictureLook, ...]
    trained_on: npt.NDArray[np.int64]


def resolve_normal_pictures(
    model: Autoencoder,
    normal: DataLike | None,
    *,
    purpose: str,
    groups: PathLike | None,
    ignore_mask: PathLike | None,
    range: Range | None,
    seed: int,
    task: Task,
) -> NormalPictures:
    """Find the normal pictures and divide them, by the training-data policy.

    Args:
        purpose: what they are needed for, as in "what is normal is not known".
        groups: a file of `name,group` lines or a regular expression: pictures of one group show one part.
        task: shows how far the reading is.

    Raises:
        DataError: none are given and the training pictures are not found; or none can be read.
        UsageError: see `group_key`.
    """
    import numpy as np

    from isthmus.evaluation.training_data import find_training_images
    from isthmus.features.detector_calibration import make_plan

    reference: ReferenceKind = "reference"
    data = normal
    if normal is None:
        reference = "training"
        images, reason_not_found = find_training_images(model)
        if images is None:
            raise DataError(
                "{reason}, and {purpose}",
                id="reference.not-found",
                hint=Hint.add(normal="DATA"),
                reason=reason_not_found,
                purpose=purpose,
            )
        data = model.summary["data"]["source"]
        options: dict[str, Any] = model.summary.get("options") or {}
        range = tuple(options["range"]) if options.get("range") else range
    source = open_pictures(model, data, range=range, ignore_mask=ignore_mask)
    training_names = _find_names(model, normal, source)
    names = training_names[0] | training_names[1] if training_names is not None and normal is None else None
    source = source.subset(_choose_rows(source, names, seed))
    rows, looks, hashes = _look_at(source, task)
    if len(rows) < len(source):
        source = source.subset(rows)
    if len(set(hashes)) < 2:
        raise DataError(
            "{source}: its {images} are all the same picture; at least 2 different ones are needed",
            id="anomalies.same-images",
            source=source.source,
            images=format_count(len(source), "normal image"),
        )
    by_content = [f"{value:016x}" for value in hashes]
    keys = _group_keys(source, groups, by_content)
    fitted, used, trained_on = None, None, np.empty(0, dtype=np.int64)
    if training_names is not None:
        seen_names = training_names[0]
        unseen = {row for row, name in enumerate(source.names) if name not in seen_names}
        # If the network saw one picture of a part, all pictures of the part count as seen.
        seen_groups = {keys[row] for row, name in enumerate(source.names) if name in seen_names}
        unseen = {row for row in unseen if keys[row] not in seen_groups}
        if len(unseen) >= MIN_UNSEEN:
            fitted = np.array(sorted(set(builtins.range(len(source))) - unseen), dtype=np.int64)
            fits_to_unseen = model.recipe.corruption.marks_defects and len(unseen) >= MIN_UNSEEN_FOLDS
            if fits_to_unseen or len(fitted) < MIN_UNSEEN:
                used, trained_on, fitted = np.array(sorted(unseen), dtype=np.int64), fitted, None
        else:
            log_note(
                "the network was trained on all but {unseen} of the {images}: the rate of false alarms on "
                "new pictures may be higher than asked for; give normal pictures that it was not trained on",
                id="anomalies.normal-pictures-seen",
                log_level=logging.WARNING,
                unseen=len(unseen),
                images=format_count(len(source), "normal picture"),
            )
    plan = make_plan(keys, seed=seed, fitted=fitted, used=used)
    _warn_of_near_copies(looks, source.names, plan, seed)
    return NormalPictures(source, reference, plan, tuple(looks), trained_on)


def _find_names(
    model: Autoencoder, normal: DataLike | None, source: PictureSource
) -> tuple[set[str], set[str]] | None:
    """Names of the pictures that the network was trained on, and of those it held out; None if unknown."""
    from isthmus.evaluation.training_data import find_training_split

    recorded = model.summary.get("data") or {}
    start, data = "", None
    if normal is not None:
        inside = _place_inside(normal, recorded.get("source"))
        if inside is None:  # perhaps the same pictures in another place
            images = recorded.get("images")
            if not isinstance(images, int) or not 0 < images <= len(source):
                return None
            data = normal if source.in_memory is None else source.in_memory
        else:
            start = inside
    split = find_training_split(model, data)
    if split is None:
        return None
    parts = (split.train.names, () if split.held_out is None else split.held_out.names)
    trained, held_out = ({name[len(start) :] for name in names if name.startswith(start)} for names in parts)
    return (trained, held_out) if trained or held_out else None


def _choose_rows(source: PictureSource, names: set[str] | None, seed: int) -> list[int]:
    """The pictures of these names, or all; of very many some."""
    import numpy as np

    from isthmus.features.anomalies import MAX_NORMAL_IMAGES

    rows = [row for row, name in enumerate(source.names) if names is None or name in names]
    if len(rows) <= MAX_NORMAL_IMAGES:
        return rows
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_NORMAL_IMAGES])
    return [rows[int(index)] for index in chosen]


def _place_inside(normal: DataLike, source: object) -> str | None:
    """What names below `source` begin with for files of the folder `normal`; None where it is elsewhere."""
    if not isinstance(normal, (str, os.PathLike)) or not isinstance(source, str):
        return None
    folder, top = Path(normal), Path(source)
    if not folder.is_dir() or not top.is_dir():
        return None
    try:
        inside = folder.resolve().relative_to(top.resolve())
    except ValueError:
        return None
    return "".join(f"{part}/" for part in inside.parts)


def _look_at(source: PictureSource, task: Task) -> tuple[list[int], list[PictureLook], list[int]]:
    """Rows that can be read, how they look, and a hash of what each shows, whatever its sample type."""
    from isthmus.features.pictures import measure_look
    from isthmus.images.store import picture_hash

    rows: list[int] = []
    looks: list[PictureLook] = []
    hashes: list[int] = []
    for chunk_rows, pictures in source.iter_chunks():
        rows += chunk_rows
        looks += [measure_look(picture) for picture in pictures]
        hashes += [picture_hash(picture.pixels) for picture in pictures]
        task.update(0.3 * len(rows) / len(source), "reading normal pictures")
    return rows, looks, hashes


def _group_keys(source: PictureSource, groups: PathLike | None, by_content: list[str]) -> list[str]:
    """The group of each picture: as given, else as a list of the pictures names it, else its copies."""
    from isthmus.images.grouping import check_groups_match, group_key

    group_names: Sequence[str | None] = source.groups or ("",) * len(source)
    if groups is not None:
        key, how = group_key(os.fspath(groups))
        group_names = [key(name) for name in source.names]
        check_groups_match(group_names, source.names, how)
    elif source.groups:
        log_note(
            "{source} names groups: the images of a group are held out together",
            id="reading.list-names-groups",
            source=source.source,
        )
    pairs = zip(group_names, by_content, strict=True)
    return [f"group {group}" if group else content for group, content in pairs]


def _warn_of_near_copies(looks: list[PictureLook], names: tuple[str, ...], plan: Plan, seed: int) -> None:
    from isthmus.features.picture_looks import find_near_copies

    fold = {int(row): number for number, (_, rows) in enumerate(plan.folds) for row in rows}
    across = [
        (first, second)
        for first, second in find_near_copies(looks, seed=seed)
        if fold.get(first, -1) != fold.get(second, -1)
    ]
    if not across:
        return
    first, second = across[0]
    log_note(
        "{pairs} of normal pictures {are} nearly copies, such as {first} and {second}: "
        "one picture of each pair is used to fit, the other to calibrate, so the "
        "threshold may be too low; if such pictures show one part, name the part of each "
        "with groups",
        id="anomalies.near-copies",
        log_level=logging.WARNING,
        pairs=format_count(len(across), "pair"),
        are=choose_word(len(across), "is", "are"),
        first=names[first],
        second=names[second],
    )
