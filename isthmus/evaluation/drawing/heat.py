"""Heat maps laid over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.evaluation.drawing.pictures import before_after
from isthmus.images.conform import to_channels, to_dtype

STRENGTH = 0.65


def heat_picture(
    images: Sequence[npt.NDArray[Any]], maps: Sequence[npt.NDArray[np.float64]], names: Sequence[str]
) -> bytes:
    """Images `(H, W, C)` above the same with heat maps `(H, W)`, as a PNG; all maps share one scale."""
    low = min(float(one.min()) for one in maps)
    high = max(float(one.max()) for one in maps)
    warm = [overlaid(i, (m - low) / max(high - low, 1e-12)) for i, m in zip(images, maps, strict=True)]
    title = f"Most unusual first: {names[0]}" + (f" … {names[-1]}" if len(names) > 1 else "")
    return before_after([(title, list(images)), ("Where", warm)], columns=10)


def overlaid(image: npt.NDArray[Any], heat: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """`(H, W, C)` with `(H, W)` heat in [0, 1]: grey, turning orange and then red where it is high."""
    gray = to_dtype(to_channels(image, 1), np.float32)[..., 0]
    heat = heat.clip(0, 1)
    colour = np.stack([np.ones_like(heat), 0.75 * (1 - heat), np.zeros_like(heat)], -1)
    share = (STRENGTH * heat)[..., None]
    mixed = (1 - share) * gray[..., None] + share * colour
    return np.asarray((mixed * 255).round().clip(0, 255), dtype=np.uint8)
