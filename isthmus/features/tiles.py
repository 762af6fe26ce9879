"""Pictures larger than what a model was trained on, seen piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from isthmus.images.store import ImageSet

Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tiles:
    """Overlapping pieces of pictures.

    Attributes:
        pieces: all of one size, picture after picture.
        owner: `(n,)` which picture each comes from.
        corners: `(n, 2)` row and column of its upper left pixel.
        shapes: `(H, W)` of each picture.
    """

    pieces: ImageSet
    owner: Places
    corners: Places
    shapes: tuple[tuple[int, int], ...]

    def max_per_picture(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """`(n,)` scores of pieces → the highest of each picture."""
        highest = np.full(len(self.shapes), -np.inf)
        np.maximum.at(highest, self.owner, scores)
        return highest

    def assemble(self, maps: list[npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
        """One map `(h, w)` per piece → one `(H, W)` per picture, means where pieces overlap."""
        sums = [np.zeros(shape) for shape in self.shapes]
        counts = [np.zeros(shape) for shape in self.shapes]
        for tile_map, owner, (top, left) in zip(maps, self.owner, self.corners, strict=True):
            height = min(tile_map.shape[0], self.shapes[owner][0] - top)
            width = min(tile_map.shape[1], self.shapes[owner][1] - left)
            sums[owner][top : top + height, left : left + width] += tile_map[:height, :width]
            counts[owner][top : top + height, left : left + width] += 1
        return [total / np.maximum(count, 1) for total, count in zip(sums, counts, strict=True)]


def is_larger(images: ImageSet, size: tuple[int, int]) -> bool:
    """Whether any image has twice the height or width of `size`: resized, it would lose its details."""
    shapes = (
        [images.shape] if images.shape is not None else [images.image(i).shape for i in range(len(images))]
    )
    return any(h >= 2 * size[0] or w >= 2 * size[1] for h, w, _ in shapes)


def cut_tiles(images: ImageSet, size: tuple[int, int], *, overlap: float = 0.5) -> Tiles:
    """Cut every image into pieces of `size`, neighbours sharing `overlap` of their side, borders included.

    Images smaller than a piece are extended by their last row and column.
    """
    height, width = size
    pieces, owner, corners, shapes, names = [], [], [], [], []
    for index in range(len(images)):
        image = images.image(index)
        shapes.append((image.shape[0], image.shape[1]))
        missing = max(0, height - image.shape[0]), max(0, width - image.shape[1])
        padded = np.pad(image, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        for top in tile_starts(padded.shape[0], height, overlap):
            for left in tile_starts(padded.shape[1], width, overlap):
                pieces.append(padded[top : top + height, left : left + width])
                owner.append(index)
                corners.append((top, left))
                names.append(f"{images.names[index]}@{top},{left}")
    labels = None if images.labels is None else images.labels[owner]
    stacked = ImageSet(np.stack(pieces), tuple(names), labels, images.classes, images.source)
    return Tiles(stacked, np.array(owner), np.array(corners), tuple(shapes))


def count_tiles(images: ImageSet, size: tuple[int, int], *, overlap: float = 0.5) -> int:
    """How many tiles `cut` makes."""
    shapes = (
        [images.shape] * len(images)
        if images.shape is not None
        else [images.image(i).shape for i in range(len(images))]
    )
    return sum(
        len(tile_starts(max(h, size[0]), size[0], overlap))
        * len(tile_starts(max(w, size[1]), size[1], overlap))
        for h, w, _ in shapes
    )


def tile_starts(length: int, piece: int, overlap: float) -> list[int]:
    step = max(1, round(piece * (1 - overlap)))
    return [*range(0, length - piece, step), length - piece]
