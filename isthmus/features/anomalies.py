"""Detectors: scores fitted to normal pictures, with the threshold that held-out normal pictures give.

A detector is one score (`isthmus.features.anomaly_kinds`), or several of which the z-scores are averaged.
The score of a *picture* is calibrated, for every size and number of tiles. The threshold
is the order statistic of conformal prediction (Vovk et al. 2005; Bates et al. 2023) on pictures that the
score was not fitted to: the chance that a new normal picture lies above it is at most the false-alarm rate.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.errors import DataError, ModelFileError, UsageError, one_line
from isthmus.features.anomaly_kinds import KINDS_OF_TILES, ROW_KINDS, Kind
from isthmus.features.part_maps import map_each, map_pictures
from isthmus.features.picture_maps import (
    Part,
    PictureMap,
    average_maps,
    default_reading,
    fit_part,
)
from isthmus.features.picture_rows import RowReader
from isthmus.features.pictures import Picture, Pictures
from isthmus.features.readout import FeatureExtractor, attach_extractor
from isthmus.images.store import ImageSet
from isthmus.images.subsets import hold_out
from isthmus.model.attachment_check import DAMAGE, Rule, check_tensors, number, whole_number
from isthmus.model.attachments import attach
from isthmus.model.autoencoder import Autoencoder
from isthmus.wording import choose_word, format_count

NAME = "anomalies"
Scores = npt.NDArray[np.float64]

CALIBRATION_SHARE = 0.2
MAX_NORMAL_IMAGES = 20_000
MIN_NORMAL_IMAGES = 10
MAX_PARTS = 8  # of a stored detector
_SCALES = ("centre", "spread", "map_centre", "map_spread")
_LAYOUT = 2  # of the attachment; version 0.1 wrote none


@dataclass(frozen=True)
class Detector:
    """One score, or the mean z-score of several, fitted to normal pictures.

    Attributes:
        parts: the scores.
        calibration: `(n,)` ascending scores of normal pictures that were held out of the fit.
        peaks: `(n,)` ascending highest values of the maps of these.
        asked_rate: share of normal pictures that may be flagged, as requested.
        normal_images: how many pictures it was fitted to.
        facts: JSON values that travel with it: detection power, and how normal pictures look.
    """

    parts: tuple[Part, ...]
    calibration: Scores
    peaks: Scores
    asked_rate: float
    normal_images: int
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kinds of its parts, joined by `+`."""
        return "+".join(dict.fromkeys(part.kind for part in self.parts))

    @property
    def title(self) -> str:
        """Its parts in words."""
        return " + ".join(part.title for part in self.parts)

    @property
    def least_rate(self) -> float:
        """The smallest rate for which the held-out pictures are enough: 1 / (n + 1)."""
        return 1 / (len(self.calibration) + 1)

    @property
    def false_alarms(self) -> float:
        """The rate of the threshold: as requested, or the smallest possible."""
        return max(self.asked_rate, self.least_rate)

    @property
    def threshold(self) -> float:
        """The score above which a picture is flagged; infinite where no normal pictures were held out."""
        return _quantile(self.calibration, self.false_alarms)

    @property
    def map_threshold(self) -> float:
        """The value of the map above which a place is marked."""
        return _quantile(self.peaks, self.false_alarms)

    def with_rate(self, false_alarms: float) -> Detector:
        """The same scores with another threshold.

        Raises:
            UsageError: a rate outside (0, 1).
        """
        check_rate(false_alarms)
        return dataclasses.replace(self, asked_rate=false_alarms)

    def p_value(self, scores: Scores) -> Scores:
        """How likely a normal picture would score at least as high, from the held-out ones: in (0, 1]."""
        above = len(self.calibration) - np.searchsorted(self.calibration, scores, side="left")
        return np.asarray((above + 1) / (len(self.calibration) + 1))


def _quantile(ascending: Scores, rate: float) -> float:
    count = len(ascending)
    rank = math.ceil((1 - rate) * (count + 1) - 1e-9)
    return float(ascending[rank - 1]) if 1 <= rank <= count else math.inf


def check_rate(false_alarms: float) -> None:
    """Raises:
    UsageError: a rate outside (0, 1).
    """
    if not 0 < false_alarms < 1:
        raise UsageError(
            "the false-alarm rate must be between 0 and 1, not {false_alarms}",
            id="anomalies.false-alarms",
            false_alarms=false_alarms,
        )


def map_with(
    model: Autoencoder, extractor: FeatureExtractor, detector: Detector, pictures: Sequence[Picture]
) -> Iterator[PictureMap]:
    """Score and map of each picture, in order; maps of several parts are the means of z-scores."""
    parts = detector.parts
    for index, maps in enumerate(map_each(RowReader(model, extractor), parts, pictures)):
        yield maps[0] if len(parts) == 1 else average_maps(parts, maps, pictures[index].ignored)


# ---------------------------------------------------------------- sets of images, read whole


def fit_detector(
    model: Autoencoder,
    readout: FeatureExtractor,
    normal: ImageSet,
    kind: Kind,
    *,
    false_alarms: float,
    seed: int = 0,
) -> Detector:
    """Fit a score of whole images to four fifths of the normal ones, and calibrate it on the rest.

    Raises:
        UsageError: an unknown score, or a rate outside (0, 1).
        DataError: fewer than ten normal images.
    """
    if kind not in get_args(Kind):
        raise UsageError(
            "score '{name}' is not known; known: {known}",
            id="anomalies.unknown-score",
            name=kind,
            known=", ".join(get_args(Kind)),
        )
    check_rate(false_alarms)
    check_enough(len(normal), MIN_NORMAL_IMAGES)
    some = np.sort(np.random.default_rng(seed).permutation(len(normal))[:MAX_NORMAL_IMAGES])
    normal = normal.subset(some)
    fitted, held_out = hold_out(normal, CALIBRATION_SHARE, limit=10_000, seed=seed)
    rows = RowReader(model, readout).iter_rows(ROW_KINDS[kind], 0, Pictures(normal.subset(fitted)))
    part = fit_part(kind, 0, rows, len(fitted), seed=seed)
    maps = list(map_pictures(model, readout, part, Pictures(normal.subset(held_out))))
    scores, peaks = (
        np.sort(np.array(values)) for values in zip(*((m.score, m.peak) for m in maps), strict=True)
    )
    return Detector((part,), scores, peaks, false_alarms, len(fitted))


def check_enough(count: int, least: int) -> None:
    """Raises:
    DataError: too few normal images.
    """
    if count < least:
        raise DataError(
            "{images} {verb} too few: at least 10 are needed",
            id="anomalies.too-few-images",
            images=format_count(count, "normal image"),
            verb=choose_word(count, "is", "are"),
        )


def score(model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet) -> Scores:
    """`(N,)` scores of images, higher = more unusual."""
    maps = map_with(model, readout, detector, Pictures(images))
    return np.array([picture_map.score for picture_map in maps], dtype=np.float64)


def score_maps(
    model: Autoencoder, readout: FeatureExtractor, detector: Detector, images: ImageSet
) -> list[Scores]:
    """The map that each image's score is read from: `(H, W)`, of the image's own size; see `show_map`."""
    from isthmus.features.units import show_map

    pictures = Pictures(images)
    maps = map_with(model, readout, detector, pictures)
    return [
        show_map(model, readout, detector.parts, pictures[index], picture_map).astype(np.float64)
        for index, picture_map in enumerate(maps)
    ]


# ---------------------------------------------------------------- in a model


def store_detector(model: Autoencoder, detector: Detector, readout: FeatureExtractor) -> None:
    """Attach a detector, and the readout it goes with, to a model in memory; `model.save` writes them."""
    attach_extractor(model, readout)
    facts = {
        "layout": _LAYOUT,
        "kind": detector.kind,
        "false_alarms": detector.asked_rate,
        "used_rate": detector.false_alarms,
        "normal_images": detector.normal_images,
        "threshold": detector.threshold if math.isfinite(detector.threshold) else None,
        "parts": [
            {name: getattr(part, name) for name in ("kind", "tiles", "reading", *_SCALES)}
            for part in detector.parts
        ],
        **detector.facts,
    }
    tensors = {
        f"{place}-{name}": tensor
        for place, part in enumerate(detector.parts)
        for name, tensor in part.tensors.items()
    }
    scores = {"calibration": detector.calibration, "peaks": detector.peaks}
    attach(model, NAME, tensors | {name: torch.from_numpy(array) for name, array in scores.items()}, facts)


def read_detector(model: Autoencoder) -> Detector | None:
    """The detector in a model, or None.

    Raises:
        ModelFileError: the attachment is damaged.
    """
    attachment = model.attachments.get(NAME)
    if attachment is None:
        return None
    try:
        facts: dict[str, Any] = dict(attachment.facts)
        if "layout" not in facts:
            return _read_first_layout(facts, dict(attachment.tensors))
        return _read_layout(facts, dict(attachment.tensors))
    except DAMAGE as error:
        raise ModelFileError(
            "this model's anomaly detector is damaged: {reason}",
            id="anomalies.detector-damaged",
            reason=one_line(error),
        ) from error


def _read_layout(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Detector:
    whole_number(facts, "layout", _LAYOUT, _LAYOUT)
    described = facts["parts"]
    if not isinstance(described, list) or not 1 <= len(described) <= MAX_PARTS:
        raise ValueError("its parts are not described")
    rules: dict[str, Rule] = {"calibration": Rule("n"), "peaks": Rule("n")}
    parts = []
    for place, description in enumerate(described):
        kind = _check_kind(description["kind"])
        reading: Literal["max", "mean"] = description["reading"]
        if reading not in ("max", "mean"):
            raise ValueError("it is not known how a score is read from its map")
        own = {name.partition("-")[2]: t for name, t in tensors.items() if name.startswith(f"{place}-")}
        if kind == "segmentation":
            rules |= {f"{place}-{name}": _any_rule(tensor) for name, tensor in own.items()}
        else:
            own_rules = KINDS_OF_TILES[kind].rules
            rules |= {f"{place}-{name}": _placed(rule, place) for name, rule in own_rules.items()}
        parts.append(
            Part(
                kind,
                whole_number(description, "tiles", 0, 64),
                reading,
                own,
                *(number(description, name, 1e-18 if "spread" in name else -1e18, 1e18) for name in _SCALES),
            )
        )
    check_tensors(tensors, rules)
    _check_kind_text(facts)
    known_facts = ("layout", "kind", "false_alarms", "used_rate", "normal_images", "threshold", "parts")
    return Detector(
        tuple(parts),
        _ascending(tensors["calibration"]),
        _ascending(tensors["peaks"]),
        number(facts, "false_alarms", 1e-12, 1 - 1e-12),
        whole_number(facts, "normal_images", 0, 2**53),
        {name: value for name, value in facts.items() if name not in known_facts},
    )


def _read_first_layout(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Detector:
    """As version 0.1 wrote it: one score of images of the model's size."""
    kind = _check_kind(facts["kind"])
    rules = KINDS_OF_TILES[kind].rules
    check_tensors(tensors, {**rules, "calibration": Rule("n")})
    calibration = _ascending(tensors.pop("calibration"))
    return Detector(
        (Part(kind, 0, default_reading(kind, 0), tensors),),
        calibration,
        np.empty(0),
        number(facts, "false_alarms", 1e-12, 1 - 1e-12),
        whole_number(facts, "normal_images", 0, 2**53),
    )


def _check_kind(kind: object) -> Kind:
    if not isinstance(kind, str) or kind not in get_args(Kind):
        raise ValueError("its score is not known")
    return kind  # type: ignore[return-value]


def _check_kind_text(facts: dict[str, Any]) -> None:
    names = facts["kind"]
    if not isinstance(names, str):
        raise ValueError("its score is not known")
    for name in names.split("+"):
        _check_kind(name)


def _ascending(tensor: Tensor) -> Scores:
    values: Scores = tensor.numpy().astype(np.float64)
    if (np.diff(values) < 0).any():
        raise ValueError("its calibration does not rise")
    return values


def _placed(rule: Rule, place: int) -> Rule:
    """The same rule with its own lengths: parts may differ."""
    shape = tuple(side if isinstance(side, int) else f"{side} of part {place}" for side in rule.shape)
    return Rule(*shape, kind=rule.kind, low=rule.low, high=rule.high)


def _any_rule(tensor: Tensor) -> Rule:
    """Statistics by position check themselves; here only that they are finite floats."""
    return Rule(*tensor.shape)
