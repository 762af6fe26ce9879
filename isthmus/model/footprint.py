"""How much memory one pass takes, estimated: a system ends a process that takes too much without a word."""

from __future__ import annotations

from isthmus.errors import DataError
from isthmus.images.cache import memory_bytes
from isthmus.model import axes
from isthmus.model.geometry import Geometry

FREE = 2**22  # pixels of a pass that nobody needs to think about
BACKWARD = 4  # a training step keeps about so many times as much


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
    needed = pixels * backbone.bytes_per_pixel(geometry, channels) * (BACKWARD if backward else 1)
    has = memory_bytes()
    if needed > has:
        what = "an image" if count == 1 else f"{count} images"
        raise DataError(
            "{what} of {height}×{width} pixels at a time would take about {needed_gib:,.0f} GiB "
            "with this model, and this machine has {has_gib:,.0f}: give smaller pieces",
            id="model.memory",
            what=what,
            height=height,
            width=width,
            needed_gib=needed / 2**30,
            has_gib=has / 2**30,
        )


def weights_bytes(parameters: int, optimiser: axes.Optimiser) -> int:
    """Memory that training needs for weights, their gradients, moments, average and best copy."""
    return 4 * parameters * (3 + optimiser.moments_per_weight + bool(optimiser.ema))
