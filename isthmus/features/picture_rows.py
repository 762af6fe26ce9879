"""From pictures of any size to the rows that scores read: of whole pictures, or of their tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.features.kind_readings import (
    AT_OWN_SIZE,
    WITHOUT_NETWORK,
    RowKind,
    count_per_pass,
    read_tiles,
)
from isthmus.features.pictures import MAX_FLOAT_PIXELS, Picture, mean_to, shrink_pixels, tile_corners, to_unit
from isthmus.features.readout import FeatureExtractor, LayerReader
from isthmus.features.segmentation import segmentation_map
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.tensors import resize_images

MAX_NETWORK_PIXELS = 2**20  # of whole pictures that go through a network together, before copies fill up
MAX_WITHOUT_NETWORK = 64  # pictures that are read together without a network
# Networks add in another order for one to three images than for more, and the last bits differ: passes are
# filled up to whole fours, so that a picture has the same score alone and among others.
IMAGES_PER_KERNEL = 4


class RowReader:
    """Reads the rows of pictures with one network.

    Args:
        model, extractor: the network, and which of its layers are read at what size.
    """

    def __init__(self, model: Autoencoder, extractor: FeatureExtractor) -> None:
        self.model, self.extractor = model, extractor
        self._layer = LayerReader(model, extractor)

    @cached_property
    def _per_pass(self) -> int:
        return count_per_pass(self.model, self.extractor)  # runs the network

    def iter_rows(self, row_kind: RowKind, tiles: int, pictures: Sequence[Picture]) -> Iterator[Tensor]:
        """For each picture its rows `(t, …)`: of the whole one, or of its tiles.

        `logits` are those of its defect mask, `(1, H, W)`.
        """
        if row_kind == "logits":
            for index in range(len(pictures)):
                yield torch.from_numpy(segmentation_map(self.model, pictures[index].pixels))[None]
            return
        if tiles == 0:
            for rows in self.iter_whole(row_kind, pictures):
                yield from rows.split(1)
            return
        for index in range(len(pictures)):
            corners, pieces = _cut(pictures[index], tiles, self.extractor.reading.size)
            parts = [
                self._read_filled(row_kind, pieces(corners[start : start + self._per_pass]))
                for start in range(0, len(corners), self._per_pass)
            ]
            yield torch.cat(parts)

    def iter_whole(self, row_kind: RowKind, pictures: Sequence[Picture]) -> Iterator[Tensor]:
        """Rows `(n, …)` of whole pictures, a few at a time, in order."""
        size = None if row_kind in AT_OWN_SIZE else self.extractor.reading.size
        most = MAX_FLOAT_PIXELS if size or row_kind in WITHOUT_NETWORK else MAX_NETWORK_PIXELS
        together = MAX_WITHOUT_NETWORK if row_kind in WITHOUT_NETWORK else self._per_pass
        batch: list[Tensor] = []
        for index in range(len(pictures)):
            image = _prepare_whole(pictures[index], size, most)
            pixels = sum(part.shape[2] * part.shape[3] for part in [*batch, image])
            if batch and (len(batch) == together or (size is None and pixels > most)):
                for group in _equal_shapes(batch):
                    yield self._read_filled(row_kind, torch.cat(group))
                batch = []
            batch.append(image)
        for group in _equal_shapes(batch):
            yield self._read_filled(row_kind, torch.cat(group))

    def _read_filled(self, row_kind: RowKind, tiles: Tensor) -> Tensor:
        missing = 0 if row_kind in WITHOUT_NETWORK else -len(tiles) % IMAGES_PER_KERNEL
        if missing:
            tiles = torch.cat([tiles, tiles[-1:].expand(missing, -1, -1, -1)])
        return read_tiles(row_kind, self._layer, tiles)[: len(tiles) - missing]


def _prepare_whole(picture: Picture, size: tuple[int, int] | None, most_pixels: int) -> Tensor:
    """`(1, C, h, w)` of the picture, resized if `size` is given; ignored pixels have its mean colour."""
    height, width, _ = picture.pixels.shape
    factor = int(np.ceil((height * width / most_pixels) ** 0.5))
    pixels = shrink_pixels(picture.pixels, max(1, factor))
    if picture.ignored is not None and picture.ignored.any() and not picture.ignored.all():
        away = mean_to(picture.ignored, pixels.shape[:2]) > 0.5
        if not away.all():
            pixels = np.where(away[..., None], pixels[~away].mean(0), pixels).astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    return tensor if size is None else resize_images(tensor, size)


def _equal_shapes(batch: list[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one shape together."""
    group: list[Tensor] = []
    for image in batch:
        if group and image.shape != group[0].shape:
            yield group
            group = []
        group.append(image)
    if group:
        yield group


def _cut(picture: Picture, shrink: int, size: tuple[int, int]) -> tuple[list[tuple[int, int]], Any]:
    """Corners of the tiles, and a function from some of them to `(n, C, h, w)`."""
    pixels = picture.pixels if shrink == 1 else shrink_pixels(picture.pixels, shrink)
    missing = [max(0, side - have) for side, have in zip(size, pixels.shape[:2], strict=True)]
    if any(missing):
        pixels = np.pad(pixels, (*((0, n) for n in missing), (0, 0)), mode="edge")

    def pieces(corners: list[tuple[int, int]]) -> Tensor:
        cut = [pixels[top : top + size[0], left : left + size[1]] for top, left in corners]
        return torch.from_numpy(to_unit(np.stack(cut))).permute(0, 3, 1, 2)

    return tile_corners(pixels.shape[:2], size), pieces
