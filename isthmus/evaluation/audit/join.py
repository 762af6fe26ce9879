"""Two sets as one, so that pairs across them are found in the same search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.store import ImageSet, Ragged


def concatenate(first: ImageSet, second: ImageSet) -> ImageSet:
    """The images of both, in order; where they differ, in channels and samples of the first. No labels."""
    names = (*first.names, *second.names)
    alike = first.shape is not None and first.shape == second.shape and first.dtype == second.dtype
    if alike:
        pixels = np.concatenate([np.asarray(s.stack(np.arange(len(s)))) for s in (first, second)])
        return replace(first, pixels=pixels, names=names, labels=None, classes=(), skipped=())
    channels = first.channels
    parts = [
        to_dtype(to_channels(s.image(i), channels) if s.channels != channels else s.image(i), first.dtype)
        for s in (first, second)
        for i in range(len(s))
    ]
    shapes = np.array([part.shape for part in parts], dtype=np.int64)
    ends = np.cumsum([0, *(part.size for part in parts)], dtype=np.int64)
    flat = np.concatenate([part.reshape(-1) for part in parts])
    ragged = Ragged(flat, ends[:-1], shapes)
    return replace(first, pixels=ragged, names=names, labels=None, classes=(), skipped=())
