"""A network on images of any size in bounded memory: overlapping pieces, whose inner parts form the result.

The receptive field of a convolutional network without positions is limited. With an overlap of that width,
the pieces together equal one pass over the whole image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from isthmus.images.array_format import Kind, to_batch
from isthmus.images.sample_range import NOISY
from isthmus.model.autoencoder import Autoencoder

INNER = 768  # side of what is kept of a piece; a multiple of every stride and of the cells of `fill`
MARGIN = 64  # of overlap on each side

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Piece:
    """The network processes `outer`; `inner` becomes part of the result. Both are (rows, columns) of the
    image.

    `kept` is the inner part in coordinates of the outer one.
    """

    outer: Window
    inner: Window
    kept: Window


def pieces(height: int, width: int, *, inner: int = INNER, margin: int = MARGIN) -> Iterator[Piece]:
    """Cover an image; one that fits into a piece with its overlap is one piece."""
    side = inner + 2 * margin
    rows = _spans(height, inner, margin) if height > side else [(0, height, 0, height)]
    columns = _spans(width, inner, margin) if width > side else [(0, width, 0, width)]
    for a, b, top, bottom in rows:
        for c, d, left, right in columns:
            yield Piece(
                (slice(a, b), slice(c, d)),
                (slice(top, bottom), slice(left, right)),
                (slice(top - a, bottom - a), slice(left - c, right - c)),
            )


def _spans(extent: int, inner: int, margin: int) -> list[tuple[int, int, int, int]]:
    starts = range(0, extent, inner)
    return [(max(0, s - margin), min(extent, s + inner + margin), s, min(extent, s + inner)) for s in starts]


def can_be_cut(model: Autoencoder) -> bool:
    """Whether the network computes the same at every place: convolutions without positions, a grid code."""
    recipe = model.recipe
    return recipe.geometry.is_grid and recipe.backbone.is_local and not recipe.positions.knows_position


@dataclass(frozen=True, eq=False)
class OpenPiece:
    """A piece of an image as a network takes it, and where the result goes.

    Attributes:
        place: where it is in the image.
        batch: `(1, C, h, w)` float32, the outer part.
        share: of the pieces of the image, up to and with this one.
    """

    place: Piece
    batch: Tensor
    share: float
    _kind: Kind
    _out: Any

    def write(self, restored: Tensor) -> None:
        """Write the inner part of `restored (1, C, h, w)` in the sample type of the image."""
        anywhere = (...,) if isinstance(self._out, Tensor) else ()
        values = self._kind.restore(restored)
        self._out[(*anywhere, *self.place.inner)] = values[(*anywhere, *self.place.kept)]


def iter_pieces(image: Any, out: Any, *, cut: bool = True) -> Iterator[OpenPiece]:
    """The pieces of an image, one at a time.

    Args:
        image: NumPy `(H, W)` or `(H, W, C)`, or torch `(1, C, H, W)`, of any sample type.
        out: of the size and sample type of the image; may share nothing with it.
        cut: else the image is one piece.

    Raises:
        DataError: as `to_batch`: NaN, or not an image.
    """
    tensor = isinstance(image, Tensor)
    height, width = image.shape[-2:] if tensor else image.shape[:2]
    places = list(pieces(height, width)) if cut else list(pieces(height, width, inner=max(height, width)))
    for done, place in enumerate(places, start=1):
        window = (..., *place.outer) if tensor else place.outer
        batch, kind = to_batch(image[window], many=None if tensor else False, bounds=NOISY)
        yield OpenPiece(place, batch, done / len(places), kind, out)
