"""Maps of pictures by the parts of a detector, one picture after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from isthmus.features.anomaly_kinds import ROW_KINDS, SCORE_VALUES
from isthmus.features.picture_maps import Part, PictureMap, map_values
from isthmus.features.picture_rows import RowReader
from isthmus.features.pictures import Picture
from isthmus.features.readout import FeatureExtractor
from isthmus.model.autoencoder import Autoencoder


def map_pictures(
    model: Autoencoder, extractor: FeatureExtractor, part: Part, pictures: Sequence[Picture]
) -> Iterator[PictureMap]:
    """Score and map of each picture, in order; a picture has the same alone and among others."""
    return _iter_maps(RowReader(model, extractor), part, pictures)


def map_each(
    reader: RowReader, parts: Sequence[Part], pictures: Sequence[Picture]
) -> Iterator[tuple[PictureMap, ...]]:
    """Score and map of each picture by each part; the network is used once for parts that read the same."""
    return zip(*(_iter_maps(reader, part, pictures) for part in parts), strict=True)


def _iter_maps(reader: RowReader, part: Part, pictures: Sequence[Picture]) -> Iterator[PictureMap]:
    part, size = part.in_single_precision(), reader.extractor.reading.size
    row_kind, values_of = ROW_KINDS[part.kind], SCORE_VALUES[part.kind]
    if part.tiles == 0:  # many small pictures: their values are computed together
        index = 0
        for rows in reader.iter_whole(row_kind, pictures):
            for row, value in zip(rows, values_of(part.tensors, rows), strict=True):
                yield map_values(part, size, row[None], value[None], *_frame(pictures[index]))
                index += 1
        return
    for index, rows in enumerate(reader.iter_rows(row_kind, part.tiles, pictures)):
        yield map_values(part, size, rows, values_of(part.tensors, rows), *_frame(pictures[index]))


def _frame(picture: Picture) -> tuple[tuple[int, ...], npt.NDArray[np.bool_] | None]:
    return picture.pixels.shape, picture.ignored
