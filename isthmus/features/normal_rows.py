"""The rows that scores read from normal pictures, kept in memory, and scores of planted defects."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from isthmus.features.anomalies import Scores
from isthmus.features.anomaly_kinds import KINDS_WITHOUT_NETWORK, ROW_KINDS, SCORE_VALUES, Kind
from isthmus.features.kind_readings import WITHOUT_NETWORK, RowKind
from isthmus.features.part_maps import map_each
from isthmus.features.picture_maps import Part, average_maps, fit_part, map_values
from isthmus.features.picture_rows import RowReader
from isthmus.features.pictures import Picture
from isthmus.features.planted_defects import PlantedPictures
from isthmus.features.readout import FeatureExtractor
from isthmus.model.autoencoder import Autoencoder

Rows = npt.NDArray[np.int64]
RowKey = tuple[RowKind, int]  # of what kind, and `Part.tiles`

MIN_PLANTED_PICTURES = 6
MAX_PLANTED_PIXELS = 2**24  # of pictures with planted defects, for each size of these
PICTURES_AT_ONCE = 64  # of which rows are read together
MAX_KEPT_BYTES = 2**29  # of rows of normal pictures
MAX_PICTURE_BYTES = 2**26  # of pictures from which rows are read together


class Chosen(Sequence[Picture]):
    """Some of the pictures, by row."""

    def __init__(self, pictures: Sequence[Picture], rows: Rows) -> None:
        self._pictures, self._rows = pictures, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._pictures[int(self._rows[index])]


class NormalRows:
    """The rows that scores read from normal pictures; each picture is read once, as long as memory allows.

    Args:
        trained_on: rows of pictures that the network saw, and that are in no plan: scores that read no
            network are fitted to them as well.
    """

    def __init__(
        self,
        model: Autoencoder,
        extractor: FeatureExtractor,
        pictures: Sequence[Picture],
        trained_on: Rows | None = None,
    ) -> None:
        self.model, self.extractor, self.pictures = model, extractor, pictures
        self._reader = RowReader(model, extractor)
        self._trained_on = np.empty(0, dtype=np.int64) if trained_on is None else trained_on
        self._tensors: dict[tuple[RowKey, int], Tensor] = {}
        self._bytes = 0
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._expected: tuple[RowKey, ...] = ()

    def expect(self, scores: Sequence[tuple[Kind, int]]) -> None:
        """Name the scores that follow: what they need of a picture is read together."""
        self._expected = tuple((ROW_KINDS[kind], tiles) for kind, tiles in scores)

    def iter(self, kind: Kind, tiles: int, rows: Rows) -> Iterator[Tensor]:
        """The tensors that a kind reads, for each of these pictures."""
        key = (ROW_KINDS[kind], tiles)
        for start in range(0, len(rows), PICTURES_AT_ONCE):
            part = rows[start : start + PICTURES_AT_ONCE].tolist()
            missing = [row for row in part if (key, row) not in self._tensors]
            fresh = self._read(key, missing) if missing else {}
            for row in part:
                yield fresh[row] if row in fresh else self._tensors[key, row]

    def _read(self, key: RowKey, rows: list[int]) -> dict[int, Tensor]:
        """Read the tensors of a kind, and with them those that are expected and fit into memory."""
        fresh: dict[int, Tensor] = {}
        for part_rows, pictures in _iter_parts(self.pictures, rows):
            self._shapes |= {
                row: picture.pixels.shape
                for row, picture in zip(part_rows, pictures, strict=True)
                if picture.ignored is None
            }
            together: dict[tuple[int, ...], list[RowKey]] = {tuple(range(len(part_rows))): [key]}
            for own in dict.fromkeys(self._expected):
                if own != key and self._bytes < MAX_KEPT_BYTES:
                    places = [place for place, row in enumerate(part_rows) if self._is_expected(own, row)]
                    together.setdefault(tuple(places), []).append(own)
            for chosen, keys in together.items():
                some = [pictures[place] for place in chosen]
                # Side by side: what reads the same layer of the same tiles uses the network once.
                streams = [self._reader.iter_rows(*own, some) for own in keys]
                for place, tensors in zip(chosen, zip(*streams, strict=True), strict=True):
                    for own, tensor in zip(keys, tensors, strict=True):
                        if own == key:
                            fresh[part_rows[place]] = tensor
                        self._keep(own, part_rows[place], tensor)
        return fresh

    def _keep(self, key: RowKey, row: int, tensor: Tensor) -> None:
        size = tensor.numel() * tensor.element_size()
        if self._bytes + size <= MAX_KEPT_BYTES:
            self._tensors[key, row] = tensor.clone()
            self._bytes += size

    def _is_expected(self, key: RowKey, row: int) -> bool:
        """Whether rows are still to be read: of pictures that the network saw only those without it."""
        is_used = key[0] in WITHOUT_NETWORK or row not in self._trained_on
        return is_used and (key, row) not in self._tensors

    def fit(self, part: Part, rows: Rows, seed: int) -> Part:
        """The part fitted to these pictures."""
        rows = self.rows_of(part, rows)
        fitted = fit_part(part.kind, part.tiles, self.iter(part.kind, part.tiles, rows), len(rows), seed=seed)
        scales = {name: getattr(part, name) for name in ("centre", "spread", "map_centre", "map_spread")}
        return dataclasses.replace(fitted, **scales)

    def rows_of(self, part: Part, rows: Rows) -> Rows:
        """The pictures that a part is fitted to, of a plan's."""
        return np.union1d(rows, self._trained_on) if part.kind in KINDS_WITHOUT_NETWORK else rows

    def measure(self, parts: Sequence[Part], rows: Rows) -> Iterator[tuple[float, float]]:
        """The score of each of these pictures, and the highest value of its map."""
        single = [part.in_single_precision() for part in parts]
        streams = [self.iter(part.kind, part.tiles, rows) for part in parts]
        size = self.extractor.reading.size
        for row, tensors in zip(rows.tolist(), zip(*streams, strict=True), strict=True):
            shape, ignored = self._frame(row)
            maps = []
            for part, tensor in zip(single, tensors, strict=True):
                values = SCORE_VALUES[part.kind](part.tensors, tensor)
                maps.append(map_values(part, size, tensor, values, shape, ignored))
            picture_map = average_maps(parts, maps, ignored)
            yield picture_map.score, picture_map.peak

    def scores(self, parts: Sequence[Part], rows: Rows) -> Scores:
        """Scores of these pictures."""
        return np.array([score for score, _ in self.measure(parts, rows)], dtype=np.float64)

    def score_planted(self, parts: Sequence[Part], rows: Rows, size: int | None, *, seed: int) -> Scores:
        """`(parts, n)` scores of these pictures, each with a planted defect.

        Args:
            size: of the defects in pixels; None for half of the shorter side.
            seed: other seeds give other defects.
        """
        planted = PlantedPictures(Chosen(self.pictures, rows), size, seeds=seed + 7919 * rows)
        maps = map_each(self._reader, parts, planted)
        scores = [[picture_map.score for picture_map in of_one] for of_one in maps]
        return np.array(scores, dtype=np.float64).T

    def at_most(self, count: int, row: int) -> int:
        """How many pictures get planted defects: fewer where they are as large as this one."""
        height, width = map(int, self.pictures[row].pixels.shape[:2])
        return max(MIN_PLANTED_PICTURES, min(count, MAX_PLANTED_PIXELS // (height * width)))

    def _frame(self, row: int) -> tuple[tuple[int, ...], npt.NDArray[np.bool_] | None]:
        """Shape of a picture, and its pixels that do not count."""
        if row in self._shapes:
            return self._shapes[row], None
        picture = self.pictures[row]
        return picture.pixels.shape, picture.ignored


def _iter_parts(pictures: Sequence[Picture], rows: list[int]) -> Iterator[tuple[list[int], list[Picture]]]:
    """Rows and their pictures, as many as may lie in memory together."""
    part_rows: list[int] = []
    part: list[Picture] = []
    for row in rows:
        part_rows.append(row)
        part.append(pictures[row])
        if sum(picture.pixels.nbytes for picture in part) >= MAX_PICTURE_BYTES or row == rows[-1]:
            yield part_rows, part
            part_rows, part = [], []
