"""How strong is the noise: the standard deviation of additive white noise, from one image.

Chen, Zhu and Heng (2015), "An efficient statistical method for image noise level estimation", ICCV: patches
of an image fill few directions, noise fills all. Of the eigenvalues of the patches' covariance those that
hold no image lie around σ² symmetrically, so the largest are dropped until mean and median of the rest agree.

What texture leaves over makes the estimate too high, hardly ever too low. So it is made in windows, and the
lowest decile is taken: windows with little texture decide, as patches do in Liu, Tanaka and Okutomi (2013).
Where noise was cut off at black or white, a window's level is that of the noise before (`cut_noise`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.metrics.cut_noise import CutNoise

SIDE = 8  # of a patch; less where there are few
SMALLEST = 8  # side of an image
WINDOW = 128
WINDOWS = 100  # of a large image so many are looked at
LOWEST = 0.1
NEAR = 0.3, 0.8  # of σ: means between these are near black
PILED_UP = 0.15  # of the samples there lie at black itself


@dataclass(frozen=True)
class Noise:
    """`sigma` in units of 1/255, and whether the noise was cut off at black and at white."""

    sigma: float
    black: bool = False
    white: bool = False

    @property
    def cut(self) -> CutNoise:
        """The same for samples in [0, 1]."""
        return CutNoise(self.sigma / 255, self.black, self.white)


def noise_level(image: npt.NDArray[Any]) -> float:
    """σ in units of 1/255, as it was before the noise was cut off at black and white.

    Args, Raises: as `noise_of`.
    """
    return noise_of(image).sigma


def noise_of(image: npt.NDArray[Any], sigma: float | None = None) -> Noise:
    """How strong the noise is, and where it was cut off.

    Args:
        image: `(H, W)` or `(H, W, C)`, uint8, uint16 or float in [0, 1]. Of several channels each is looked
            at and the median is returned.
        sigma: in units of 1/255, where it is known; of an image that is too small nothing is cut off then.

    Raises:
        DataError: too small for some patches (where `sigma` is not known), or NaN.
    """
    planes = image[..., None] if image.ndim == 2 else image
    height, width, channels = planes.shape
    if min(height, width) < SMALLEST:
        if sigma is not None:
            return Noise(sigma)
        raise DataError(
            "an image of {height}×{width} is too small to estimate its noise: give its sigma",
            id="metric.noise-too-small",
            height=height,
            width=width,
        )
    scale = 255.0 / np.iinfo(image.dtype).max if image.dtype.kind == "u" else 255.0
    seen: list[list[_Seen]] = []
    for channel in range(channels):
        seen.append([])
        for top, left in _windows(height, width):
            part = planes[top : top + WINDOW, left : left + WINDOW, channel]
            if not np.isfinite(part).all():
                raise DataError("NaN or infinity among the image samples", id="metric.not-finite")
            seen[-1].append(_look(part.astype(np.float64) * scale, measure=sigma is None))
    found = _median_of_lowest(seen, lambda one: one.deviation) if sigma is None else sigma
    windows = [one for of_channel in seen for one in of_channel]
    black, white = _cut_at(windows, found, black=True), _cut_at(windows, found, black=False)
    if sigma is None and (black or white):
        cut = CutNoise(found / 255, black, white)
        found = _median_of_lowest(
            seen, lambda one: 255 * cut.whole(one.deviation / 255, torch.from_numpy(one.means / 255))
        )
    return Noise(found, black, white)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A window: deviation of its noise; mean and middle sample of each of its patches; in levels of 255."""

    deviation: float
    means: npt.NDArray[np.float32]
    middles: npt.NDArray[np.float32]


def _median_of_lowest(seen: list[list[_Seen]], level: Callable[[_Seen], float]) -> float:
    return float(np.median([np.quantile([level(one) for one in windows], LOWEST) for windows in seen]))


def _cut_at(windows: list[_Seen], sigma: float, *, black: bool) -> bool:
    """Whether samples pile up at black (at white) where surroundings are as near to it as noise takes them.

    Cut noise on a clean value between 0 and half of σ has a mean between .4 and .7 σ and leaves a third to
    half of its samples there. A camera's dark parts, with little noise of their own, show nearly none.
    """
    near = at = 0
    for one in windows:
        means, middles = (one.means, one.middles) if black else (255 - one.means, 255 - one.middles)
        here = (means > NEAR[0] * sigma) & (means < NEAR[1] * sigma)
        near, at = near + int(here.sum()), at + int((middles[here] == 0).sum())
    return near > 0 and at > PILED_UP * near


def _look(part: npt.NDArray[np.float64], *, measure: bool) -> _Seen:
    # A covariance of few patches has spread eigenvalues of its own: ten patches for each.
    side = next((s for s in range(SIDE, 2, -1) if np.prod([n - s + 1 for n in part.shape]) >= 10 * s * s), 2)
    patches = np.lib.stride_tricks.sliding_window_view(part, (side, side)).reshape(-1, side * side)
    means, middles = (
        a.astype(np.float32) for a in (patches.mean(1), patches[:, side * side // 2 + side // 2])
    )
    return _Seen(_level(patches) if measure else 0.0, means, middles)


def _level(patches: npt.NDArray[np.float64]) -> float:
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
