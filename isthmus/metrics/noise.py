"""Level of the noise of an image, and whether it was cut off at black and white."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import DataError
from isthmus.metrics.clipped_noise import ClippedNoise

PATCH_PX = 8  # of a patch; less where there are few

MIN_SIDE_PX = 8  # side of an image

WINDOW_PX = 128

MAX_WINDOWS = 100  # of a large image so many are looked at

LOW_QUANTILE = 0.1

NEAR_BLACK_SIGMAS = 0.3, 0.8  # of σ: means between these are near black

MIN_CLIPPED_SHARE = 0.15  # of the samples there lie at black itself


@dataclass(frozen=True)
class Noise:
    """`sigma` in units of 1/255, and whether the noise was cut off at black and at white."""

    sigma: float
    black: bool = False
    white: bool = False

    @property
    def clipped(self) -> ClippedNoise:
        """The same for samples in [0, 1]."""
        return ClippedNoise(self.sigma / 255, self.black, self.white)


def estimate_sigma(image: npt.NDArray[Any]) -> float:
    """σ in units of 1/255, as it was before the noise was cut off at black and white.

    Args, Raises: as `measure_noise`.
    """
    return measure_noise(image).sigma


def measure_noise(image: npt.NDArray[Any], sigma: float | None = None) -> Noise:
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
    if min(height, width) < MIN_SIDE_PX:
        if sigma is not None:
            return Noise(sigma)
        raise DataError(
            "an image of {height}×{width} is too small to estimate its noise: give its sigma",
            id="metric.noise-too-small",
            height=height,
            width=width,
        )
    scale = 255.0 / np.iinfo(image.dtype).max if image.dtype.kind == "u" else 255.0
    channel_windows: list[list[_Window]] = []
    for channel in range(channels):
        channel_windows.append([])
        for top, left in _window_corners(height, width):
            part = planes[top : top + WINDOW_PX, left : left + WINDOW_PX, channel]
            if not np.isfinite(part).all():
                raise DataError("NaN or infinity among the image samples", id="metric.not-finite")
            channel_windows[-1].append(
                _measure_window(part.astype(np.float64) * scale, measure=sigma is None)
            )
    level = _median_of_lowest(channel_windows, lambda window: window.deviation) if sigma is None else sigma
    windows = [window for group in channel_windows for window in group]
    black, white = _is_clipped(windows, level, black=True), _is_clipped(windows, level, black=False)
    if sigma is None and (black or white):
        cut = ClippedNoise(level / 255, black, white)
        level = _median_of_lowest(
            channel_windows,
            lambda window: (
                255 * cut.sigma_before_clipping(window.deviation / 255, torch.from_numpy(window.means / 255))
            ),
        )
    return Noise(level, black, white)


@dataclass(frozen=True, eq=False)
class _Window:
    """A window: deviation of its noise; mean and middle sample of each of its patches; in levels of 255."""

    deviation: float
    means: npt.NDArray[np.float32]
    middles: npt.NDArray[np.float32]


def _median_of_lowest(channel_windows: list[list[_Window]], level: Callable[[_Window], float]) -> float:
    return float(
        np.median(
            [np.quantile([level(window) for window in windows], LOW_QUANTILE) for windows in channel_windows]
        )
    )


def _is_clipped(windows: list[_Window], sigma: float, *, black: bool) -> bool:
    """Whether samples pile up at black (at white) where surroundings are as near to it as noise takes them.

    Cut noise on a clean value between 0 and half of σ has a mean between .4 and .7 σ and leaves a third to
    half of its samples there. A camera's dark parts, with little noise of their own, show nearly none.
    """
    near = at = 0
    for window in windows:
        means, middles = (
            (window.means, window.middles) if black else (255 - window.means, 255 - window.middles)
        )
        is_near = (means > NEAR_BLACK_SIGMAS[0] * sigma) & (means < NEAR_BLACK_SIGMAS[1] * sigma)
        near, at = near + int(is_near.sum()), at + int((middles[is_near] == 0).sum())
    return near > 0 and at > MIN_CLIPPED_SHARE * near


def _measure_window(part: npt.NDArray[np.float64], *, measure: bool) -> _Window:
    # A covariance of few patches has spread eigenvalues of its own: ten patches for each.
    side = next(
        (s for s in range(PATCH_PX, 2, -1) if np.prod([n - s + 1 for n in part.shape]) >= 10 * s * s), 2
    )
    patches = np.lib.stride_tricks.sliding_window_view(part, (side, side)).reshape(-1, side * side)
    means, middles = (
        a.astype(np.float32) for a in (patches.mean(1), patches[:, side * side // 2 + side // 2])
    )
    return _Window(_estimate_deviation(patches) if measure else 0.0, means, middles)


def _estimate_deviation(patches: npt.NDArray[np.float64]) -> float:
    patches = patches - patches.mean(0)
    values = np.maximum(np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1], 0)  # descending
    for dropped in range(len(values)):
        rest = values[dropped:]
        if rest.mean() <= np.median(rest):
            return float(np.sqrt(rest.mean()))
    return float(np.sqrt(values[-1]))


def _window_corners(height: int, width: int) -> list[tuple[int, int]]:
    """Corners of windows spread evenly over the image."""
    rows, columns = max(1, round(height / WINDOW_PX)), max(1, round(width / WINDOW_PX))
    fewer = max(1.0, (rows * columns / MAX_WINDOWS) ** 0.5)
    tops = np.linspace(0, max(0, height - WINDOW_PX), max(1, int(rows / fewer))).astype(int)
    lefts = np.linspace(0, max(0, width - WINDOW_PX), max(1, int(columns / fewer))).astype(int)
    return [(int(top), int(left)) for top in tops for left in lefts]
