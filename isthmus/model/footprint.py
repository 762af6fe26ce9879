"""How much memory one pass takes, estimated: a system ends a process that takes too much without a word."""

from __future__ import annotations

from isthmus.errors import DataError
from isthmus.images.cache import memory_bytes
from isthmus.model import axes
from isthmus.model.geometry import Geometry

FREE = 2**22  # pixels of a pass that nobody needs to think about
# Measured with images of 1 to 2 megapixels: copies of the image, and maps of the first stage alive at once.
PER_CHANNEL = 20
CONV_MAPS, TOKEN_MAPS = 5, 20
BACKWARD = 4  # a training step keeps about so many times as much


def bytes_per_pixel(backbone: axes.Backbone, geometry: Geometry, channels: int) -> float:
    """Of a forward pass in which the network sees the images at their full size."""
    own = float(PER_CHANNEL * channels)
    match backbone, geometry.stride:
        case axes.Conv(), stride:
            return own + CONV_MAPS * 4 * backbone.width[0] / min(backbone.stem, stride or backbone.stem) ** 2
        case axes.Stacked(), _:
            first, last = backbone.width or (geometry.channels,), backbone.decoder or backbone.width or (0,)
            return own + CONV_MAPS * 4 * max(first[0], last[-1])
        case axes.Filters(), int(stride):
            return own + CONV_MAPS * 4 * geometry.channels / stride**2
        case axes.Attention(), int(stride):
            return own + TOKEN_MAPS * 4 * backbone.width[0] / stride**2
        case _:
            return own  # a few tokens or hidden units, whatever the size


def check_memory(
    backbone: axes.Backbone,
    geometry: Geometry,
    shape: tuple[int, ...],
    *,
    backward: bool = False,
) -> None:
    """Refuse a pass over images `shape (N, C, H, W)` that this machine's memory cannot hold.

    Raises:
        DataError: it takes more than all of it.
    """
    count, channels, height, width = shape
    pixels = count * height * width
    if pixels <= FREE:
        return
    needed = pixels * bytes_per_pixel(backbone, geometry, channels) * (BACKWARD if backward else 1)
    has = memory_bytes()
    if needed > has:
        what = "an image" if count == 1 else f"{count} images"
        raise DataError(
            f"{what} of {height}×{width} pixels at a time would take about {needed / 2**30:,.0f} GiB with "
            f"this model, and this machine has {has / 2**30:,.0f}: give smaller pieces"
        )
