"""The result of `isthmus.anomalies`, and of each picture in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.inspected_pictures import InspectedImage, InspectedPicture, UnusualImage
from isthmus.api.picture_source import PictureSource
from isthmus.api.reference import ReferenceKind
from isthmus.api.result import PictureResult
from isthmus.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from isthmus.evaluation.detection import LabelMetrics, MaskMetrics
    from isthmus.features.anomalies import Detector
    from isthmus.features.marked_regions import Box
    from isthmus.features.power_rows import PowerRow
    from isthmus.features.readout import FeatureExtractor
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.reports.overlays import OverlayItem

SHOWN_IMAGES = 10
_LOW_SHARE = 0.1  # of normal pictures whose maps stay below the colour scale
SCORES_FILE, REPORT_FILE, LEDGER_FILE = "scores.csv", "report.html", "inspected.json"


@dataclass(frozen=True)
class Scorer:
    """A fitted detector with its feature extractor."""

    model: Autoencoder
    extractor: FeatureExtractor
    detector: Detector


@dataclass(frozen=True, kw_only=True, repr=False)
class AnomalyResult(PictureResult):
    """How unusual each image is. `result[i]` is one picture with its `heat`, `mask` and `boxes`.

    It is saved as a table (`.csv`), `.json`, `.npz`, a sheet of the most unusual pictures (`.png`), a page
    (`.html`), or a folder with an overlay and a mask of each picture, `scores.csv` and `report.html`.

    Attributes:
        model: the model, as it was given.
        score: which score it is; kinds that are averaged are joined by `+`.
        images: number of images.
        normal_images: number of images that the score was fitted to.
        held_out_images: number of normal images that set the threshold.
        reference: where these come from: `model`, `training` or `reference`.
        false_alarms: share of normal images that may be flagged; more than requested where too few normal
            images were held out.
        threshold: scores above it are flagged; infinite (null) where no normal images were held out.
        flagged_images: number of flagged images.
        tiles: number of tiles, where pictures were cut into some; else null.
        worst_images: the ten most unusual images, most unusual first.
        all_images: every image with its score, verdict and boxes, in their order.
        power: how many planted defects of each size are found in normal images that were held out.
        power_text: the same in a sentence; null where it was not measured.
        labels: how well labelled images are separated; null without labels of good and of other images.
        masks: how well maps agree with masks of the defects; null without masks.
        known_images: number of images that an earlier run had scored already.
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
        "held_out_images": "held_out_images",
        "reference": "reference",
        "false_alarms": "false_alarms",
        "threshold": "threshold",
        "flagged": "flagged_images",
        "tiles": "tiles",
        "power": "power",
        "power_text": "power_text",
        "labels": "labels",
        "masks": "masks",
        "known_images": "known_images",
        "worst": "worst_images",
        "pictures": "all_images",
    }
    formats: ClassVar = (".csv", ".json", ".npz", ".png", ".html")
    as_folder: ClassVar[bool] = True

    model: str
    score: str
    normal_images: int
    held_out_images: int
    reference: ReferenceKind
    false_alarms: float
    threshold: float
    tiles: int | None
    power: tuple[PowerRow, ...]
    labels: LabelMetrics | None
    masks: MaskMetrics | None
    known_images: int
    names: tuple[str, ...] = field(repr=False)
    scores: npt.NDArray[np.float64] = field(repr=False)
    flagged: npt.NDArray[np.bool_] = field(repr=False)
    chance: npt.NDArray[np.float64] = field(repr=False)
    _boxes: tuple[tuple[Box, ...], ...] = field(repr=False)
    _scorer: Scorer = field(repr=False)
    _source: PictureSource = field(repr=False)

    @property
    def images(self) -> int:
        return len(self.scores)

    @property
    def flagged_images(self) -> int:
        return int(self.flagged.sum())

    @property
    def worst_images(self) -> tuple[UnusualImage, ...]:
        return tuple(self._row_facts(row) for row in self.worst(SHOWN_IMAGES))

    @property
    def all_images(self) -> tuple[InspectedImage, ...]:
        return tuple(map(self.facts, range(self.images)))

    @property
    def power_text(self) -> str | None:
        from isthmus.features.power_rows import describe_power

        return describe_power(self.power, self.false_alarms) or None

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, row: int) -> InspectedPicture:
        """One picture.

        Raises:
            IndexError: there is no such picture.
        """
        if not -self.images <= row < self.images:
            raise IndexError(f"picture {row} of {self.images}")
        return InspectedPicture(self, row % self.images)

    def __iter__(self) -> Iterator[InspectedPicture]:
        return (self[row] for row in range(self.images))

    def worst(self, count: int) -> list[int]:
        """Rows of the most unusual images, most unusual first."""
        return [int(row) for row in (-self.scores).argsort(kind="stable")[:count]]

    def borderline(self, count: int) -> list[int]:
        """Rows of the images whose scores lie nearest to the threshold, by their chance."""
        import numpy as np

        away = np.abs(np.log(self.chance) - np.log(self.false_alarms))
        order = np.lexsort((np.abs(self.scores - self.threshold), away))
        return [int(row) for row in order[:count]]

    def facts(self, row: int) -> InspectedImage:
        """The values of one image in the document."""
        row_facts = self._row_facts(row)
        verdict = "flagged" if row_facts.flagged else "normal"
        return InspectedImage(
            row_facts.name, row_facts.score, row_facts.chance, row_facts.flagged, verdict, self._boxes[row]
        )

    def heat(self, row: int) -> npt.NDArray[np.float64]:
        """`(H, W)` map that one image's score was read from, higher is more; made on request."""
        import numpy as np

        return self.read_item(row)[1].astype(np.float64)

    def read_item(self, row: int) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """The picture, its map `(H, W)` and its mask `(H, W)`; made on request.

        Raises:
            DataError: the file is no longer there.
        """
        import numpy as np

        from isthmus.features.anomalies import map_with
        from isthmus.features.marked_regions import mark_pixels
        from isthmus.features.units import show_map
        from isthmus.threads import limited

        picture = self._source[row]
        with limited():
            scorer = self._scorer
            picture_map = next(map_with(scorer.model, scorer.extractor, scorer.detector, [picture]))
        shape = picture.pixels.shape
        mask = np.zeros(shape[:2], dtype=bool)
        if self.flagged[row]:
            mask = mark_pixels(picture_map.heat, shape, scorer.detector.map_threshold, picture.ignored)
        with limited():
            heat = show_map(scorer.model, scorer.extractor, scorer.detector.parts, picture, picture_map)
        return picture, heat, mask

    def overlay(self, row: int) -> OverlayItem:
        """One image as overlays draw it."""
        from isthmus.reports.overlays import OverlayItem

        picture, heat, mask = self.read_item(row)
        facts = self.facts(row)
        caption = (facts.name, f"score {facts.score:.4g}, chance {facts.chance:.2g}", facts.verdict)
        return OverlayItem(picture.pixels, heat, mask, caption, facts.flagged)

    def colour_range(self) -> tuple[float, float]:
        """Values of the maps at the ends of the colour scale, the same for all pictures."""
        import numpy as np

        detector = self._scorer.detector
        peaks = detector.peaks if len(detector.peaks) else self.scores
        low = float(np.quantile(peaks, _LOW_SHARE)) if len(peaks) else 0.0
        limit = detector.map_threshold
        if not np.isfinite(limit):
            limit = float(peaks.max()) if len(peaks) else 1.0
        return low, limit + max((limit - low) / 2, 1e-6 * abs(limit), 1e-12)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["most unusual", self.score, "chance if normal", "flagged"]
        facts = map(self._row_facts, self.worst(self.images))
        return header, [[f.name, f.score, f.chance, "yes" if f.flagged else ""] for f in facts]

    def summary(self) -> str:
        lines = [f"{self.flagged_images} of {self.images} flagged, at {self.false_alarms:.3g} false alarms"]
        if self.known_images:
            lines.append(f"{self.known_images:,} scored before and left as they are")
        if self.power_text:
            lines.append(f"the detector ({self._scorer.detector.title}) {self.power_text}")
        if self.labels is not None:
            labels = self.labels
            lines.append(
                f"labels: AUROC {labels.auroc:.3f}, average precision {labels.average_precision:.3f}; "
                f"{labels.found} of {labels.defective} defective and {labels.false_alarms} of {labels.good} "
                "good flagged"
            )
        if self.masks is not None:
            lines.append(
                f"masks: pixel AUROC {self.masks.pixel_auroc:.3f}, PRO {self.masks.pro:.3f}, "
                f"{self.masks.touched:.0%} of {self.masks.regions} regions touched"
            )
        return "\n".join(lines)

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """`name`, `score`, `chance`, `flagged`, in the order of the images."""
        facts = map(self._row_facts, range(self.images))
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
        """The ten most unusual images above the same with their maps, each with its name."""
        from isthmus.reports.overlays import draw_overlay_sheet

        if not self.images:
            raise DataError(
                "no new picture was scored, so there is none to draw", id="anomalies.none-to-draw"
            )
        items = [self.overlay(row) for row in self.worst(SHOWN_IMAGES)]
        return draw_overlay_sheet(items, *self.colour_range(), scale=scale)

    def page(self) -> str:
        """A page: the most unusual pictures, borderline cases, detection power, all scores."""
        from isthmus.api.pages.anomaly_page import anomaly_page

        return anomaly_page(self).html()

    @classmethod
    def is_enlarged(cls, path: str | os.PathLike[str]) -> bool:
        return super().is_enlarged(path) or is_folder_output(path)

    @classmethod
    def _check_place(cls, path: str | os.PathLike[str], *, force: bool) -> None:
        """A folder of an earlier run is added to."""
        from isthmus.api.inspection_folder import check_folder

        (check_folder if is_folder_output(path) else super()._check_place)(path, force=force)

    def _write(self, path: str | os.PathLike[str], *, force: bool, scale: int | None = None) -> None:
        from isthmus.api.inspection_folder import write_folder

        if is_folder_output(path):
            write_folder(self, Path(path), force=force, scale=scale)
        else:
            super()._write(path, force=force, scale=scale)

    def _row_facts(self, row: int) -> UnusualImage:
        return UnusualImage(
            self.names[row], float(self.scores[row]), float(self.chance[row]), bool(self.flagged[row])
        )


def is_folder_output(path: str | os.PathLike[str]) -> bool:
    """Whether a result is written there as a folder: it is one, or its name has no suffix."""
    return Path(path).is_dir() or (not Path(path).suffix and os.fspath(path) not in ("", "-"))
