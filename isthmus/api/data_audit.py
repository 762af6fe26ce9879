"""Find faults in a set of images before a model is trained on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.duplicate_groups import (
    DuplicateFacts,
    DuplicatePair,
    describe_groups,
    dropped_rows,
    group_rows,
    list_groups,
)
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    PathLike,
    Range,
    load_model,
    read_images,
    refuse_unused,
)
from isthmus.api.reference import resolve_extractor_for
from isthmus.api.result import Result, keys, skipped_inputs, use
from isthmus.errors import Hint, UsageError
from isthmus.escaping import list_line
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.progress import Progress, start_task

if TYPE_CHECKING:
    from torch import Tensor

    from isthmus.evaluation.audit.duplicates import Duplicates, Pair
    from isthmus.evaluation.audit.image_faults import Balance, Fault
    from isthmus.evaluation.audit.label_checks import DoubtfulLabel, Leakage
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

MAX_LISTED = 1000  # of each kind in the JSON document
_SHARE_FAULTS, _SHARE_DUPLICATES = 0.1, 0.85  # of the work, when each part is done


@dataclass(frozen=True)
class ImageFault:
    """Something odd about one image.

    Attributes:
        name: of the image.
        kind: `constant`, `low contrast`, `clipped`, or what else is odd.
        detail: the numbers behind it.
    """

    name: str
    kind: str
    detail: str


@dataclass(frozen=True)
class LabelDoubt:
    """A label that the image's neighbours disagree with.

    Attributes:
        name: of the image.
        given: its label.
        voted: the label of its neighbours.
        vote: share of the neighbours' votes for that.
        own: share of the votes for the given label.
    """

    name: str
    given: str
    voted: str
    vote: float
    own: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Audit(Result):
    """What an audit of a set found.

    Attributes:
        data: source of the images.
        images: number of images.
        against: source of the other set, or null.
        images_against: number of images in the other set.
        duplicates: images that show one picture, within and across the sets.
        leakage: origins in both sets: `leaks` with `group`, `here`, `there` and `names`, how many are `known`
            and `how`; null where names do not show it.
        balance: `counts` per class, those of the other set (`against`), `ratio` of the largest to the
            smallest, `effective` number of classes and `remarks`; null without labels.
        faults: single images that look wrong; in JSON at most 1,000.
        set_faults: what is wrong with all images together.
        doubts: labels that neighbours disagree with, most certain first; in JSON at most 1,000.
        clean_images: number of clean images.
        clean: names of the images to train on: of copies the largest, none that the other set has too, no
            constant one. Images with doubted labels stay.
        seconds: how long the audit took.
    """

    schema: ClassVar[str] = "isthmus.audit/1"
    document: ClassVar = keys(
        "data images against images_against duplicates leakage balance faults set_faults doubts",
        clean="clean_images",
        seconds="seconds",
    )
    formats: ClassVar = (".html", ".txt", ".csv", ".json")
    output_keys: ClassVar = {".html": "report", ".txt": "write"}

    data: str
    images: int
    against: str | None
    images_against: int
    leakage: Leakage | None
    balance: Balance | None
    set_faults: tuple[str, ...]
    clean: tuple[str, ...] = field(repr=False)
    seconds: float
    _names: tuple[str, ...] = field(repr=False)  # of both sets; those from `images` on are of the other
    _labels: tuple[str | None, ...] = field(repr=False)
    _duplicates: Duplicates = field(repr=False)
    _groups: tuple[tuple[int, ...], ...] = field(repr=False)  # rows of one picture, the one to keep first
    _faults: tuple[Fault, ...] = field(repr=False)
    _doubts: tuple[DoubtfulLabel, ...] | None = field(repr=False)
    _lookups: tuple[ImageLookup, ...] = field(repr=False)

    @property
    def duplicates(self) -> DuplicateFacts:
        duplicates = self._duplicates
        return DuplicateFacts(
            exact=len(duplicates.exact),
            near=len(duplicates.near),
            across=len(self.across_pairs()),
            contradicting=len(self.contradicting_pairs()),
            limits=duplicates.limits,
            groups=describe_groups(self._groups, self._names, self.images),
            pairs=tuple(map(self._describe_pair, duplicates.pairs)),
        )

    @property
    def faults(self) -> tuple[ImageFault, ...]:
        return tuple(ImageFault(self._names[f.index], f.kind, f.detail) for f in self._faults)

    @property
    def doubts(self) -> tuple[LabelDoubt, ...]:
        return tuple(
            LabelDoubt(self._names[d.index], d.given, d.voted, d.vote, d.own) for d in self._doubts or ()
        )

    @property
    def clean_images(self) -> int:
        return len(self.clean)

    def across_pairs(self) -> tuple[Pair, ...]:
        """Rows of pairs of one image of either set; those of the other set follow those of this one."""
        return tuple(p for p in self._duplicates.pairs if p.first < self.images <= p.second)

    def contradicting_pairs(self) -> tuple[Pair, ...]:
        """Rows of pairs whose labels differ."""
        labels = self._labels
        return tuple(
            p
            for p in self._duplicates.pairs
            if labels[p.first] is not None
            and labels[p.second] is not None
            and labels[p.first] != labels[p.second]
        )

    def to_dict(self) -> dict[str, Any]:
        document = super().to_dict()
        duplicates = document["duplicates"]
        listed = ((duplicates, "groups"), (duplicates, "pairs"), (document, "faults"), (document, "doubts"))
        for holder, key in listed:
            holder[key] = holder[key][:MAX_LISTED]
        return document

    def rows(self) -> tuple[list[str], list[list[object]]]:
        duplicates, rows = self.duplicates, []
        rows += [["images", self.images], ["unreadable", len(self.skipped)]]
        rows += [["exact copies", duplicates.exact], ["near duplicates", duplicates.near]]
        rows += [["copies with different labels", duplicates.contradicting]]
        if self.against is not None:
            rows += [["pairs across the sets", duplicates.across]]
        if self.leakage is not None:
            rows += [["origins in both sets", len(self.leakage.leaks)]]
        rows += [["images with faults", len({fault.index for fault in self._faults})]]
        rows += [["doubted labels", None if self._doubts is None else len(self._doubts)]]
        if self.balance is not None:
            rows += [["largest against smallest class", self.balance.ratio]]
        rows += [["clean images", self.clean_images]]
        return ["what", "found"], rows

    def summary(self) -> str:
        remarks = [*self.set_faults, *(self.balance.remarks if self.balance else ())]
        groups = describe_groups(self._groups, self._names, self.images)
        return "\n".join([*list_groups(groups), *(f"{text[0].upper()}{text[1:]}." for text in remarks)])

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, `clean` (0 or 1), `copies` (how many), `faults`, `label` and `voted`, for each image."""
        faults: dict[int, list[str]] = {}
        for fault in self._faults:
            faults.setdefault(fault.index, []).append(fault.kind)
        voted = {doubt.index: doubt.voted for doubt in self._doubts or ()}
        copies: dict[int, int] = {}
        for pair in self._duplicates.pairs:
            for row in (pair.first, pair.second):
                copies[row] = copies.get(row, 0) + 1
        clean = set(self.clean)
        return ["name", "clean", "copies", "faults", "label", "voted"], [
            [
                name,
                int(name in clean),
                copies.get(row, 0),
                "; ".join(faults.get(row, ())),
                self._labels[row] or "",
                voted.get(row, ""),
            ]
            for row, name in enumerate(self._names[: self.images])
        ]

    def page(self) -> str:
        """What was found, with pictures.

        Raises:
            DataError: the images are no longer there.
        """
        from isthmus.api.pages.audit_page import audit_page

        return audit_page(self).html()

    def _encode(self, suffix: str) -> bytes:
        """`.txt` is the list of clean images, one name a line, for `train(names_from=…)`."""
        if suffix == ".txt":
            return "".join(f"{list_line(name)}\n" for name in self.clean).encode("utf-8", "surrogateescape")
        return super()._encode(suffix)

    def _describe_pair(self, pair: Pair) -> DuplicatePair:
        return DuplicatePair(
            first=self._names[pair.first],
            second=self._names[pair.second],
            across=pair.first < self.images <= pair.second,
            exact=pair.exact,
            mirrored=pair.mirrored,
            error=pair.error,
            labels=(self._labels[pair.first], self._labels[pair.second]),
        )


@use
def audit(
    data: DataLike,
    *,
    against: DataLike | None = None,
    groups: PathLike | None = None,
    model: ModelLike | None = None,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Examine images before training on them.

    Looks for exact and near duplicates (crops to 5 % at each edge, mirror images, JPEG, brightness), within
    the set and across to another one; for origins in both sets; for unreadable, constant, flat, clipped and
    odd images; for uneven classes; and for labels that an image's neighbours disagree with.

    Args:
        data: images: a folder, file, archive, array, named set, or a list of those.
        against: the other part of a split, such as the test images: an image that is in both is a leak.
        groups: images of one origin: a file with lines `name,group`, or a regular expression for names whose
            first group is the origin; by default those that lists of both sets name, else guessed from
            the names.
        model: judge labels by this model's features, instead of by principal components.
        limit: at most this many images of each set, evenly spaced.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        seed: of the distortions that limits are found by.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: `groups` without `against`, or a file or expression that names no groups.
        DataError: unreadable images, or images that the model does not read.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((40, 16, 16, 1), dtype=np.float32)
        >>> isthmus.audit(np.concatenate([images, images[:2]])).duplicates.exact
        2
    """
    from isthmus.evaluation.audit.duplicates import find_duplicates
    from isthmus.evaluation.audit.image_faults import find_image_faults, find_set_faults, measure_balance
    from isthmus.evaluation.audit.label_checks import find_doubtful_labels, find_leakage
    from isthmus.images.conform import joined
    from isthmus.model.inference import read_for

    started = time.monotonic()
    if groups is not None and against is None:
        raise UsageError(
            "origins can only be compared between the two sides of a split",
            id="audit.origins-without-split",
            hint=Hint.add(against="DATA"),
        )
    network = None if model is None else load_model(model)
    images = read_images(data, limit=limit, range=range)
    other = None if against is None else read_images(against, limit=limit, range=range)
    note_bands(show, images.channels)
    if model is not None and images.labels is None:
        refuse_unused("model", "where images have no labels to judge")
    all_images = images if other is None else joined((images, other), source=images.source, like=images)
    leaks = None
    if other is not None:
        group_names = None if groups is None else os.fspath(groups)
        listed = (images.groups, other.groups) if images.groups and other.groups else None
        leaks = find_leakage(images.names, other.names, group_names, listed=listed)
    judged = images if network is None else read_for(network, images)
    doubts, stop = None, Interruption()
    with start_task(progress, "examining", 1.0) as task:
        task.update(0.0, "looking for faults")
        faults = find_image_faults(images)

        def report(share: float) -> None:
            share_of_all = _SHARE_FAULTS + (_SHARE_DUPLICATES - _SHARE_FAULTS) * share
            task.update(share_of_all, "looking for duplicates")

        report(0.0)
        duplicates = find_duplicates(all_images, seed=seed, listener=report, stop=stop)
        has_near = not stop.happened
        with stop:
            if images.labels is not None and has_near:
                task.update(_SHARE_DUPLICATES, "judging labels")
                doubts = find_doubtful_labels(images, _embed(judged, network))
            task.update(1.0)
    steps = (True, True, has_near, doubts is not None)  # faults, exact copies, near copies, labels
    missing = "labels were not judged" if has_near else "near duplicates were not looked for"
    stop.check(sum(steps), 3 if images.labels is None else 4, "step", then=missing)
    rows = group_rows(duplicates.pairs, images)
    sets = (images,) if other is None else (images, other)
    sources = (data,) if other is None else (data, against)
    return Audit(
        data=images.source,
        images=len(images),
        against=None if other is None else other.source,
        images_against=0 if other is None else len(other),
        leakage=leaks,
        balance=measure_balance(images, other),
        set_faults=find_set_faults(images),
        clean=_list_clean(images, rows, faults),
        seconds=round(time.monotonic() - started, 2),
        skipped=skipped_inputs(*(part.skipped for part in sets)),
        complete=stop.complete,
        _names=tuple(name for part in sets for name in part.names),
        _labels=tuple(label for part in sets for label in _name_labels(part)),
        _duplicates=duplicates,
        _groups=rows,
        _faults=faults,
        _doubts=doubts,
        _lookups=tuple(
            ImageLookup(None, source, part, range) for source, part in zip(sources, sets, strict=True)
        ),
    )


def _embed(images: ImageSet, model: Autoencoder | None) -> Tensor:
    """`(N, d)` in which similar images are near."""
    if model is None:
        from isthmus.evaluation.audit.label_checks import principal_codes
        from isthmus.evaluation.audit.thumbnails import make_thumbnails, thumbnail_size

        drawn = make_thumbnails(images, thumbnail_size(images))
        return principal_codes(drawn.gray, drawn.chroma)
    import torch

    from isthmus.features.readout import extract_features

    extractor, _ = resolve_extractor_for(model, images)
    return torch.from_numpy(extract_features(model, images, extractor, compact=True))


def _list_clean(
    images: ImageSet, groups: tuple[tuple[int, ...], ...], faults: tuple[Fault, ...]
) -> tuple[str, ...]:
    dropped = dropped_rows(groups, len(images))
    dropped |= {fault.index for fault in faults if fault.kind == "constant"}
    return tuple(name for index, name in enumerate(images.names) if index not in dropped)


def _name_labels(images: ImageSet) -> list[str | None]:
    if images.labels is None:
        return [None] * len(images)
    classes = images.classes
    return [classes[label] if label < len(classes) else str(label) for label in images.labels]
