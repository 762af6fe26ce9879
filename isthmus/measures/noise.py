"""How strong is the noise: the standard deviation of additive white noise, from one image.

Chen, Zhu and Heng (2015), "An efficient statistical method for image noise level estimation", ICCV: patches
of an image fill few directions, noise fills all. Of the eigenvalues of the patches' covariance those that
hold no image lie around σ² symmetrically, so the largest are dropped until mean and median of the rest agree.

What texture leaves over makes the estimate too high, hardly ever too low. So it is made in windows, and the
lowest decile is taken: windows with little texture decide, as patches do in Liu, Tanaka and Okutomi (2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError

SIDE = 8  # of a patch; less where there are few
SMALLEST = 8  # side of an image
WINDOW = 128
WINDOWS = 100  # of a large image so many are looked at
LOWEST = 0.1


def noise_level(image: npt.NDArray[Any]) -> float:
    """σ in units of 1/255.

    Args:
        image: `(H, W)` or `(H, W, C)`, uint8, uint16 or float in [0, 1]. Of several channels each is looked
            at and the median is returned.

    Raises:
        DataError: too small for some patches, or NaN.
    """
    planes = image[..., None] if image.ndim == 2 else image
    height, width, channels = planes.shape
    if min(height, width) < SMALLEST:
        raise DataError(f"an image of {height}×{width} is too small to estimate its noise: give its sigma")
    scale = 255.0 / np.iinfo(image.dtype).max if image.dtype.kind == "u" else 255.0
    found = []
    for channel in range(channels):
        levels = []
        for top, left in _windows(height, width):
            part = planes[top : top + WINDOW, left : left + WINDOW, channel]
            if not np.isfinite(part).all():
                raise DataError("NaN or infinity among the image samples")
            levels.append(_level(part.astype(np.float64) * scale))
        found.append(float(np.quantile(levels, LOWEST)))
    return float(np.median(found))


def _level(part: npt.NDArray[np.float64]) -> float:
    # A covariance of few patches has spread eigenvalues of its own: ten patches for each.
    side = next((s for s in range(SIDE, 2, -1) if np.prod([n - s + 1 for n in part.shape]) >= 10 * s * s), 2)
    patches = np.lib.stride_tricks.sliding_window_view(part, (side, side)).reshape(-1, side * side)
    patches = patches - patches.mean(0)
    values = np.maximum(np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1], 0)  # descending
    for dropped in range(len(values)):
        rest = values[dropped:]
        if rest.mean() <= np.median(rest):
            return float(np.sqrt(rest.mean()))
    return float(np.sqrt(values[-1]))


def _windows(height: int, width: int) -> list[tuple[int, int]]:
    """Corners of windows spread evenly over the image."""
    rows, columns = max(1, round(height / WINDOW)), max(1, round(width / WINDOW))
    fewer = max(1.0, (rows * columns / WINDOWS) ** 0.5)
    tops = np.linspace(0, max(0, height - WINDOW), max(1, int(rows / fewer))).astype(int)
    lefts = np.linspace(0, max(0, width - WINDOW), max(1, int(columns / fewer))).astype(int)
    return [(int(top), int(left)) for top in tops for left in lefts]
