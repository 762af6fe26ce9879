"""Signed values as colours: orange above zero, blue below, white at zero, dark where far from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isthmus.images.store import Pixels

_ABOVE, _BELOW = np.array([0xD5, 0x5E, 0x00]), np.array([0x00, 0x72, 0xB2])  # of Okabe and Ito's palette


def signed_colours(values: ArrayLike, *, most: float | None = None) -> Pixels:
    """`(H, W)` → `(H, W, 3)` uint8; `most` is the value with the full colour, by default the largest."""
    array = np.asarray(values, dtype=np.float64)
    most = float(np.abs(array).max()) if most is None else most
    share = np.clip(array / max(most, 1e-12), -1, 1)[..., None]
    colour = np.where(share >= 0, _ABOVE, _BELOW)
    return np.asarray(np.rint(255 + np.abs(share) * (colour - 255)), dtype=np.uint8)
