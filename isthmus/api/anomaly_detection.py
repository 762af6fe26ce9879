"""Which images are unusual compared with normal ones, and where in them."""

from __future__ import annotations

import builtins
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.attachments import check_storable, store_attachments
from isthmus.api.inputs import (
    Bands,
    DataLike,
    ImageLookup,
    ModelLike,
    Range,
    check_choice,
    describe_model,
    open_model_and_data,
)
from isthmus.api.pair_inputs import check_no_pairs
from isthmus.api.reference import (
    ReferenceKind,
    resolve_extractor,
    resolve_extractor_for,
    resolve_reference,
)
from isthmus.api.result import PictureResult, skipped_inputs, use
from isthmus.errors import UsageError
from isthmus.images.bands import note_bands
from isthmus.interruption import Interruption
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.features.anomalies import Detector
    from isthmus.features.readout import FeatureExtractor
    from isthmus.images.store import ImageSet
    from isthmus.model.autoencoder import Autoencoder

ScoreKind = Literal["density", "mixture", "neighbour", "local", "reconstruction"]
DEFAULT_SCORE: ScoreKind = "density"
DEFAULT_FALSE_ALARMS = 0.01
SHOWN_IMAGES = 10
_IMAGES_PER_CHUNK = 256  # scored together, so that the tiles of a large set are never all in memory


@dataclass(frozen=True)
class UnusualImage:
    """One image of an `AnomalyResult`.

    Attributes:
        name: of the image.
        score: higher is more unusual.
        chance: share of normal images that score as high, in (0, 1].
        flagged: whether the score lies above the threshold.
    """

    name: str
    score: float
    chance: float
    flagged: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class AnomalyResult(PictureResult):
    """How unusual each image is.

    Attributes:
        model: the model, as it was given.
        score: which score it is.
        images: number of images.
        normal_images: number of images that the score was fitted to.
        reference: where these come from: `model`, `training` or `reference`.
        false_alarms: share of normal images that may be flagged; of their tiles, where pictures are cut.
        threshold: scores above it are flagged; infinite (null) where too few normal images were held out.
        flagged_images: number of flagged images.
        tiles: number of tiles, where pictures were cut into some; else null.
        worst_images: the ten most unusual images, most unusual first.
        names: of the images, in their order.
        scores: `(N,)` float64, higher is more unusual.
        flagged: `(N,)` bool, whether a score lies above the threshold.
        chance: `(N,)` float64, share of normal images that would score as high, in (0, 1].
    """

    schema: ClassVar[str] = "isthmus.anomalies/1"
    document: ClassVar = {
        "model": "model",
        "score": "score",
        "images": "images",
        "normal_images": "normal_images",
        "reference": "reference",
        "false_alarms": "false_alarms",
        "threshold": "threshold",
        "flagged": "flagged_images",
        "tiles": "tiles",
        "worst": "worst_images",
    }
    formats: ClassVar = (".csv", ".json", ".npz", ".png")

    model: str
    score: ScoreKind
    normal_images: int
    reference: ReferenceKind
    false_alarms: float
    threshold: float
    tiles: int | None
    names: tuple[str, ...] = field(repr=False)
    scores: npt.NDArray[np.float64] = field(repr=False)
    flagged: npt.NDArray[np.bool_] = field(repr=False)
    chance: npt.NDArray[np.float64] = field(repr=False)
    _scorer: _Scorer = field(repr=False)
    _lookup: ImageLookup = field(repr=False)

    @property
    def images(self) -> int:
        return len(self.scores)

    @property
    def flagged_images(self) -> int:
        return int(self.flagged.sum())

    @property
    def worst_images(self) -> tuple[UnusualImage, ...]:
        return tuple(self._facts(row) for row in self.worst(SHOWN_IMAGES))

    def worst(self, count: int) -> list[int]:
        """Rows of the most unusual images, most unusual first."""
        return [int(row) for row in (-self.scores).argsort(kind="stable")[:count]]

    def heat(self, row: int) -> npt.NDArray[np.float64]:
        """`(H, W)` map of where one image is unusual, higher is more; made when it is asked for."""
        return self._scorer.heat_maps(self._lookup.read([row]))[0]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["most unusual", self.score, "chance if normal", "flagged"]
        facts = map(self._facts, self.worst(self.images))
        return header, [[f.name, f.score, f.chance, "yes" if f.flagged else ""] for f in facts]

    def summary(self) -> str:
        return f"{self.flagged_images} of {self.images} flagged, at {self.false_alarms:g} false alarms"

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, `score`, `chance`, `flagged`, in the order of the images."""
        facts = map(self._facts, range(self.images))
        rows = [[f.name, f"{f.score:.6g}", f"{f.chance:.4g}", int(f.flagged)] for f in facts]
        return ["name", "score", "chance", "flagged"], rows

    def arrays(self) -> dict[str, Any]:
        """`names`, `scores`, `flagged` and `chance`, each `(N,)`."""
        import numpy as np

        return {
            "names": np.array(self.names),
            "scores": self.scores,
            "flagged": self.flagged,
            "chance": self.chance,
        }

    def draw(self, scale: int | None = None) -> bytes:
        """The ten most unusual images above the same with their heat maps."""
        from isthmus.reports.image_sheets import draw_heat_maps

        rows = self.worst(SHOWN_IMAGES)
        images = self._lookup.read(rows)
        maps = self._scorer.heat_maps(images)
        pictures = [images.image(i) for i in range(len(images))]
        return draw_heat_maps(pictures, maps, [self.names[row] for row in rows], scale=scale)

    def _facts(self, row: int) -> UnusualImage:
        return UnusualImage(
            self.names[row], float(self.scores[row]), float(self.chance[row]), bool(self.flagged[row])
        )


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
    store: bool = False,
    limit: int | None = None,
    range: Range | None = None,
    seed: int = 0,
    show: Bands | None = None,
    progress: Progress | None = None,
) -> AnomalyResult:
    """Score how unusual images are compared with normal ones, and show where.

    A score is fitted to four fifths of the normal images; the rest decides from which score on an image is
    flagged (conformal prediction, Vovk et al. 2005). What is normal comes from `normal`, else from the
    detector in the model file, else from the training images.

    Args:
        model: a model, the path of a model file, or the name of a shipped model.
        data: images: a folder, file, archive, array, named set, or a list of those.
        normal: images that are known to be normal.
        score: how unusual is measured, see docs/use/anomalies.md; by default as stored, else `density`.
        false_alarms: share of normal images that may be flagged, in (0, 1); by default as stored, else 0.01.
        tiles: cut pictures into overlapping tiles of the model's size; by default those of twice its size.
        store: keep the fitted score in the model's file, for the next time.
        limit: at most so many images, evenly spaced.
        range: the samples (low, high) that stand for black and white, where they are others.
        seed: which normal images are held out.
        show: the channels, counted from 1, that pictures show of images with other than 1 or 3, such as
            `(4, 3, 2)`; by default the first three, of two the first.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: an unknown score or an impossible rate.
        DataError: unreadable images, fewer than ten normal ones, or none known to be normal.

    Examples:
        >>> import isthmus, numpy as np
        >>> images = np.random.default_rng(0).random((60, 16, 16, 1), dtype=np.float32)
        >>> model = isthmus.train(images, recipe="dense", code="8", steps=2)
        >>> isthmus.anomalies(model, images[:5], normal=images).scores.shape
        (5,)
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
    network, images = open_model_and_data(model, data, limit=limit, range=range)
    if score == "reconstruction":
        check_no_pairs(network, "the score by reconstruction")
    scorer, reference, skipped = _fit(
        network, images, normal, score, false_alarms, tiles, range, seed, progress
    )
    note_bands(show, images.channels)
    detector = scorer.detector
    if store:  # before the images are scored, so that it is kept when that is interrupted
        scorer.store(model, network)
    stop = Interruption()
    scores = scorer.score(images, progress, stop)
    if math.isinf(detector.threshold):
        held_out = len(detector.calibration)
        log_note(
            "nothing can be flagged at {rate:g} false alarms: only {images} {were} held out; give more "
            "normal images, or a rate of {least:g}",
            id="anomalies.nothing-flagged",
            log_level=logging.WARNING,
            rate=detector.false_alarms,
            images=format_count(held_out, "normal image"),
            were=choose_word(held_out, "was", "were"),
            least=math.ceil(1000 * detector.least_false_alarms) / 1000,
        )
    return AnomalyResult(
        model=describe_model(model, network),
        score=detector.kind,
        normal_images=detector.normal_images,
        reference=reference,
        false_alarms=detector.false_alarms,
        threshold=detector.threshold,
        tiles=scorer.count_tiles(images.subset(list(builtins.range(len(scores))))),
        names=images.names[: len(scores)],
        scores=scores,
        flagged=scores > detector.threshold,
        chance=detector.p_value(scores),
        skipped=skipped_inputs(images.skipped, skipped),
        complete=stop.complete,
        _scorer=scorer,
        _lookup=ImageLookup(network, data, images, range),
    )


@dataclass(frozen=True)
class _Scorer:
    """A fitted detector with what it reads: scores and heat maps of images, cut into tiles or whole."""

    model: Autoencoder
    extractor: FeatureExtractor
    detector: Detector
    cuts: bool

    def score(
        self, images: ImageSet, progress: Progress | None, stop: Interruption
    ) -> npt.NDArray[np.float64]:
        """`(N,)` scores; of a picture that is cut, the highest of its tiles.

        Raises:
            KeyboardInterrupt: interrupted before any was scored.
        """
        import numpy as np

        parts: list[npt.NDArray[np.float64]] = []
        with stop, start_task(progress, "scoring", len(images), "images") as task:
            for chunk in _chunks(images):
                parts.append(self._score_chunk(chunk))
                task.update(sum(map(len, parts)))
        stop.check(sum(map(len, parts)), len(images), "image")
        return np.concatenate(parts)

    def _score_chunk(self, images: ImageSet) -> npt.NDArray[np.float64]:
        from isthmus.features import anomalies as detectors
        from isthmus.features.tiles import cut_tiles

        if not self.cuts:
            return detectors.score(self.model, self.extractor, self.detector, images)
        tiles = cut_tiles(images, self.extractor.reading.size)
        return tiles.max_per_picture(detectors.score(self.model, self.extractor, self.detector, tiles.pieces))

    def heat_maps(self, images: ImageSet) -> list[npt.NDArray[np.float64]]:
        """`(H, W)` for each image, of its size."""
        from isthmus.features.anomalies import score_maps
        from isthmus.features.tiles import cut_tiles
        from isthmus.threads import limited

        with limited():
            if not self.cuts:
                return score_maps(self.model, self.extractor, self.detector, images)
            tiles = cut_tiles(images, self.extractor.reading.size)
            return tiles.assemble(score_maps(self.model, self.extractor, self.detector, tiles.pieces))

    def count_tiles(self, images: ImageSet) -> int | None:
        from isthmus.features.tiles import count_tiles

        return count_tiles(images, self.extractor.reading.size) if self.cuts else None

    def store(self, model: ModelLike, network: Autoencoder) -> None:
        from isthmus.features.anomalies import NAME, store_detector
        from isthmus.features.readout import NAME as EXTRACTOR

        store_detector(network, self.detector, self.extractor)
        store_attachments(model, network, EXTRACTOR, NAME)


def _fit(
    model: Autoencoder,
    images: ImageSet,
    normal: DataLike | None,
    score: ScoreKind | None,
    false_alarms: float | None,
    tiles: bool | None,
    range: Range | None,
    seed: int,
    progress: Progress | None,
) -> tuple[_Scorer, ReferenceKind, tuple[Any, ...]]:
    """The detector by the training-data policy, where its normal images come from, and which were skipped."""
    from isthmus.features.anomalies import fit_detector, read_detector
    from isthmus.features.tiles import cut_tiles, is_larger

    stored = read_detector(model) if normal is None else None
    if stored is not None and score in (None, stored.kind):
        extractor, _ = resolve_extractor(model)
        if false_alarms is not None:
            stored = stored.with_rate(false_alarms)
        cuts = is_larger(images, extractor.reading.size) if tiles is None else tiles
        return _Scorer(model, extractor, stored, cuts), "model", ()
    purpose = "what is normal is not known"
    if stored is not None:
        purpose = f"this model holds the score '{stored.kind}': for '{score}' {purpose}"
    usual, reference = resolve_reference(model, normal, purpose=purpose, option="normal", range=range)
    extractor, _ = resolve_extractor_for(model, usual)
    cuts = is_larger(images, extractor.reading.size) if tiles is None else tiles
    with start_task(progress, "fitting to normal images", 1) as task:
        detector = fit_detector(
            model,
            extractor,
            cut_tiles(usual, extractor.reading.size).pieces if cuts else usual,
            score or DEFAULT_SCORE,
            false_alarms=DEFAULT_FALSE_ALARMS if false_alarms is None else false_alarms,
            seed=seed,
        )
        task.update(1)
    return _Scorer(model, extractor, detector, cuts), reference, usual.skipped


def _chunks(images: ImageSet) -> Iterator[ImageSet]:
    for start in range(0, len(images), _IMAGES_PER_CHUNK):
        yield images.subset(range(start, min(start + _IMAGES_PER_CHUNK, len(images))))
