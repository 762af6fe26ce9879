"""Images that use a small part of their sample type's range, stretched so that they can be compared.

Ten bits in a 16-bit file reach 1,023 of 65,535, which is nearly black: two such pictures look alike whatever
they show.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from isthmus.images.mapped import room
from isthmus.images.store import ImageSet, Pixels, Ragged

MIN_FACTOR = 2.0  # samples that use half of the range are compared as they are
WHITE_QUANTILE = 0.9999  # of the samples: a few hot pixels do not make a set bright
MAX_SAMPLES = 2**22  # that the quantile is of, evenly spaced
_AT_ONCE = 2**22  # samples that are stretched in one step


def stretch_samples(images: ImageSet) -> ImageSet:
    """The images with all samples multiplied by one factor, so that the brightest are near white.

    Images of uint8, and those that are bright already, come back as they are.
    """
    if images.dtype == np.uint8:
        return images
    flat: Pixels = images.pixels.flat if isinstance(images.pixels, Ragged) else images.pixels.reshape(-1)
    top = 1.0 if images.dtype == np.float32 else float(np.iinfo(images.dtype).max)
    white = float(np.quantile(flat[:: max(1, len(flat) // MAX_SAMPLES)], WHITE_QUANTILE))
    if white <= 0 or top / white < MIN_FACTOR:
        return images
    result = room(flat.shape, images.dtype)
    for start in range(0, len(flat), _AT_ONCE):
        part = (flat[start : start + _AT_ONCE].astype(np.float64) * (top / white)).clip(0, top)
        result[start : start + _AT_ONCE] = part if images.dtype == np.float32 else np.rint(part)
    if isinstance(images.pixels, Ragged):
        pixels: Pixels | Ragged = Ragged(result, images.pixels.offsets, images.pixels.shapes)
    else:
        pixels = result.reshape(images.pixels.shape)
    return replace(images, pixels=pixels)
