"""Level and colour covariance of the noise of one image, where parts of it carry no noise.

In each window the patches without flat or transparent samples are gathered over all channels. Patches of
an image fill few directions, white noise fills all (Chen, Zhu and Heng 2015, "An efficient statistical
method for image noise level estimation"); the eigenvectors of the patch covariance that hold no image
span the noise, and the covariance of the channels is measured in that span. Texture makes the level of a
window too high, so windows with little texture decide, as in Liu, Tanaka and Okutomi (2013). Where a part
of the image carries noise and the rest does not, windows whose noise is white and whose levels agree
decide. Windows with clipped samples are left out; where there are few others, the level is that of the
noise before clipping (`clipped_noise`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from isthmus.errors import DataError
from isthmus.metrics.clipped_noise import ClippedNoise

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

PATCH_SIDE_PX = 6
WINDOW_SIDE_PX = 64
WINDOW_STRIDE_PX = 48
MAX_WINDOWS = 300
MIN_SIDE_PX = 16
MIN_PATCHES_PER_VALUE = 10  # of a window that is measured, for each eigenvalue
MAX_CLIPPED = 0.01  # share of the samples of a window that counts as not clipped
MAX_CLIPPED_TO_CORRECT = 0.2  # beyond, the level before clipping is uncertain
TABLE_SIGMA = 0.1  # small, so that the other limit is far
MIN_UNCLIPPED = 0.1  # share of such windows that suffices
MIN_SPAN = 1 / 3  # of the eigenvectors span the noise of a window that is not all texture
MIN_FLATNESS = 0.7  # smallest over mean eigenvalue in that span, where the noise is white
LEVELS_AGREE = 1.15  # ratio of the levels of windows that carry the same noise
LEVELS_NEAR = 1.08  # and of the lowest level that decides
LOWEST_SHARE = 0.1  # of the windows: their mean level is the noise's
PARTIAL_SHARE, PARTIAL_RATIO = 0.15, 2.5  # windows with noise of one level, up to this many times the lowest
WHOLE_SHARE = 0.5  # windows with noise of one level, for any lowest level
MIN_ERROR, MIN_RELATIVE_ERROR = 0.2, 0.02
WHITE_TOLERANCE = 1.1


@dataclass(frozen=True, eq=False)
class NoiseEstimate:
    """Noise of one image.

    Attributes:
        sigma: root of the mean variance of the channels, in units of `white` / 255.
        error: standard error of `sigma`: spread of the windows that decide, and what texture may add.
        covariance: `(C, C)`, in squared units of `white` / 255.
        flatness: smallest over mean eigenvalue in the span of the noise, in the windows that decide: near 1
            for white noise, less for texture and for noise that is correlated between neighbours.
        kurtosis: excess kurtosis of the noise in those windows: 0 for Gaussian noise, more for texture.
        coarseness: deviation of the means of 2×2 samples, doubled, over that of samples: 1 for white noise,
            more where noise is correlated between neighbours or saved as JPEG.
        share: of the windows with other than flat samples, those with noise of this level or texture.
        windows: number of windows that decide.
        white: the sample value of white.
    """

    sigma: float
    error: float
    covariance: Floats
    flatness: float
    kurtosis: float
    coarseness: float
    share: float
    windows: int
    white: float

    @property
    def coarse_sigma(self) -> float:
        """Deviation of the means of 2×2 samples, in the units of `sigma`.

        White noise has half of `sigma`. Of noise that is correlated between neighbours `sigma` contains
        little, and this is the better estimate, up to a third below its level.
        """
        return self.sigma * self.coarseness / 2

    @property
    def correlation(self) -> Floats:
        """`(C, C)` correlation of the channels' noise; the identity where there is none."""
        deviation = np.sqrt(np.diag(self.covariance))
        if not (deviation > 0).all():
            return np.eye(len(deviation))
        correlation: Floats = self.covariance / np.outer(deviation, deviation)
        return correlation


def estimate_noise_covariance(
    image: npt.NDArray[Any], *, opaque: npt.NDArray[np.bool_] | None = None
) -> NoiseEstimate:
    """Measure the noise of one image.

    Args:
        image: `(H, W)` or `(H, W, C)` without alpha; uint8, uint16 of any used range, or floats in [0, 1].
        opaque: `(H, W)`, False where the image is transparent; left out.

    Returns:
        The estimate; `sigma` is 0 where no window has anything but flat or clipped samples.

    Raises:
        DataError: NaN or infinity, a side under 16 pixels, or `opaque` of another size.

    Examples:
        >>> import numpy as np
        >>> noisy = 128 + 20 * np.random.default_rng(0).normal(size=(128, 128))
        >>> round(estimate_noise_covariance(noisy.round().clip(0, 255).astype(np.uint8)).sigma)
        20
    """
    planes = image[..., None] if image.ndim == 2 else image
    height, width, channels = planes.shape
    if min(height, width) < MIN_SIDE_PX:
        raise DataError(
            "an image of {height}×{width} is too small to estimate its noise",
            id="metric.noise-covariance-too-small",
            height=height,
            width=width,
        )
    if not np.isfinite(planes).all():
        raise DataError("NaN or infinity among the image samples", id="metric.not-finite")
    if opaque is not None and opaque.shape != (height, width):
        raise DataError(
            "opacity of {shape} for an image of {height}×{width}",
            id="metric.opacity-shape",
            shape=opaque.shape,
            height=height,
            width=width,
        )
    white = white_level(planes)
    usable = varying_samples(planes)
    if opaque is not None:
        usable &= opaque
    samples = planes.astype(np.float64) * (255 / white)
    corners = _corners(height, width)
    windows = [
        _undo_clipping(measured)
        for corner in corners
        if (measured := _measure(samples, usable, corner)) is not None
    ]
    if not windows:
        return NoiseEstimate(0.0, MIN_ERROR, np.zeros((channels, channels)), 1.0, 0.0, 1.0, 0.0, 0, white)
    chosen = _without_clipped(_choose(_without_clipped(windows, MAX_CLIPPED_TO_CORRECT)), MAX_CLIPPED)
    levels = np.array([window.level for window in chosen])
    covariance = np.mean([window.covariance for window in chosen], 0)
    sigma = float(np.sqrt(np.trace(covariance) / channels))
    all_levels = np.array([window.level for window in windows])
    share = float((all_levels > sigma / LEVELS_AGREE).sum() / len(windows))
    spread = float(levels.std() / np.sqrt(len(levels)))
    flatness = float(np.mean([window.flatness for window in chosen]))
    kurtosis = float(np.mean([window.kurtosis for window in chosen]))
    texture = (1 - flatness) * 0.1 * sigma
    error = float(np.sqrt(spread**2 + texture**2 + max(MIN_ERROR, MIN_RELATIVE_ERROR * sigma) ** 2))
    coarse = [level for window in chosen if (level := _coarse_level(samples, window.corner)) is not None]
    coarseness = float(np.median(coarse)) / sigma if coarse and sigma > 0 else 1.0
    return NoiseEstimate(sigma, error, covariance, flatness, kurtosis, coarseness, share, len(chosen), white)


def white_level(planes: npt.NDArray[Any]) -> float:
    """The sample value that is white: of uint16 the least 2ᵏ − 1 that local means do not exceed by a tenth.

    Where they exceed it by less, it is the highest of them, so that nothing is clipped.

    Cameras store 10 to 14 bits in 16; noise may carry samples beyond them.
    """
    if planes.dtype.kind == "f":
        return 1.0
    top = int(np.iinfo(planes.dtype).max)
    if top <= 255 or not planes.any():
        return float(top)
    padded = functional.pad(_as_batch(planes.astype(np.float32)), (2, 2, 2, 2), mode="replicate")
    highest = min(float(functional.avg_pool2d(padded, 5, 1).max()), float(planes.max()))
    bits = next(bits for bits in range(8, 17) if highest <= WHITE_TOLERANCE * (2**bits - 1))
    return max(float(2**bits - 1), highest)


def varying_samples(planes: npt.NDArray[Any]) -> Booleans:
    """`(H, W)`, False in and next to neighbourhoods of 3×3 samples that are equal in a channel."""
    samples = _as_batch(planes.astype(np.float32))  # exact up to 16 bits
    low, high = -functional.max_pool2d(-samples, 3, 1, 1), functional.max_pool2d(samples, 3, 1, 1)
    equal = (low == high).any(1, keepdim=True).float()
    varying: Booleans = functional.max_pool2d(equal, 5, 1, 2)[0, 0].numpy() == 0
    return varying


def _as_batch(planes: npt.NDArray[np.float32]) -> torch.Tensor:
    """`(H, W, C)` as `(1, C, H, W)`; SciPy's filters would do, but importing them delays every start."""
    return torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)))[None]


@dataclass(frozen=True, eq=False)
class _Window:
    """Noise of one window.

    `span` is the share of the directions that it fills, `flatness` the smallest eigenvalue there over their
    mean, `clipped` the share of samples at black or white, `means` the values around which it lies.
    """

    corner: tuple[int, int]
    level: float
    covariance: Floats
    span: float
    flatness: float
    kurtosis: float
    clipped: float
    means: Floats


def _measure(samples: Floats, usable: Booleans, corner: tuple[int, int]) -> _Window | None:
    top, left = corner
    part = samples[top : top + WINDOW_SIDE_PX, left : left + WINDOW_SIDE_PX]
    mask = usable[top : top + WINDOW_SIDE_PX, left : left + WINDOW_SIDE_PX]
    side = PATCH_SIDE_PX if min(part.shape[:2]) >= 5 * PATCH_SIDE_PX else 4
    complete = np.lib.stride_tricks.sliding_window_view(mask, (side, side)).all((2, 3))
    least = MIN_PATCHES_PER_VALUE * side * side
    if complete.sum() >= 4 * least:
        complete &= np.indices(complete.shape).sum(0) % 2 == 0  # half of them suffice
    if complete.sum() < least:
        return None
    views = np.lib.stride_tricks.sliding_window_view(part, (side, side), (0, 1))
    patches = np.stack([views[:, :, c][complete].reshape(-1, side * side) for c in range(part.shape[2])])
    means = patches.mean(2)
    clipped = float(((patches <= 0) | (patches >= 255)).mean())
    patches -= patches.mean(1, keepdims=True)  # (C, n, s²)
    channels, count = patches.shape[:2]
    values, vectors = np.linalg.eigh(sum(plane.T @ plane for plane in patches) / (count * channels))
    values = np.maximum(values, 0)
    span = noise_span(values)
    projected = patches @ vectors[:, :span]  # (C, n, span)
    variances = projected.var(1, keepdims=True)
    kurtosis = float(((projected**2 / np.maximum(variances, 1e-12)) ** 2).mean() - 3)
    projected = projected.reshape(channels, -1)
    covariance = projected @ projected.T / projected.shape[1]
    mean = float(values[:span].mean())
    flatness = float(values[0] / mean) if mean > 0 else 0.0
    return _Window(
        corner,
        float(np.sqrt(mean)),
        covariance,
        span / len(values),
        flatness,
        kurtosis,
        clipped,
        means.ravel(),
    )


def _without_clipped(windows: list[_Window], most: float) -> list[_Window]:
    """The windows with no larger share of clipped samples, where these are not too few."""
    unclipped = [window for window in windows if window.clipped <= most]
    return unclipped if len(unclipped) >= MIN_UNCLIPPED * len(windows) else windows


def _undo_clipping(window: _Window) -> _Window:
    """The window's level as it was before the noise was clipped at black and white."""
    if window.clipped <= MAX_CLIPPED or window.level == 0:
        return window
    means = torch.from_numpy(window.means[::8])
    sigma = window.level
    for _ in range(10):
        share = _remaining(means / sigma) * _remaining((255 - means) / sigma)
        sigma = window.level / float(share.square().mean().sqrt())
    return replace(window, level=sigma, covariance=window.covariance * (sigma / window.level) ** 2)


def _remaining(distance: torch.Tensor) -> torch.Tensor:
    """Deviation after clipping, in units of σ, where the mean lies `distance` σ from the limit."""
    # A function of the distance alone, so one table serves all levels.
    return ClippedNoise(TABLE_SIGMA, black=True, white=False).share(distance * TABLE_SIGMA)


def noise_span(ascending: Floats) -> int:
    """How many of the eigenvalues, from the smallest, belong to noise: mean ≤ median."""
    for count in range(len(ascending), 0, -1):
        if ascending[:count].mean() <= np.median(ascending[:count]):
            return count
    return 1


def _choose(windows: list[_Window]) -> list[_Window]:
    """The windows that decide, see the module's first lines."""
    ordered = sorted(windows, key=lambda window: window.level)
    noisy = [window for window in ordered if window.span >= MIN_SPAN] or ordered
    lowest = noisy[: max(1, round(LOWEST_SHARE * len(noisy)))]
    level = float(np.mean([window.level for window in lowest]))
    white = [window for window in noisy if window.flatness >= MIN_FLATNESS]
    agreeing = max((_agreeing(white, window.level) for window in white), key=len, default=[])
    if len(agreeing) >= PARTIAL_SHARE * len(windows):
        own = float(np.mean([window.level for window in agreeing]))
        if own > PARTIAL_RATIO * max(level, 1.0) or len(agreeing) >= WHOLE_SHARE * len(windows):
            return agreeing
    # The lowest of many equal levels is too low by chance: those just above it count as well.
    return [window for window in noisy if window.level <= level * LEVELS_NEAR] or lowest


def _agreeing(windows: list[_Window], least: float) -> list[_Window]:
    return [window for window in windows if least <= window.level <= least * LEVELS_AGREE]


def _coarse_level(samples: Floats, corner: tuple[int, int]) -> float | None:
    """Deviation of the means of 2×2 samples of a window, doubled."""
    top, left = corner
    part = samples[top : top + 2 * WINDOW_SIDE_PX, left : left + 2 * WINDOW_SIDE_PX]
    height, width = part.shape[0] // 2 * 2, part.shape[1] // 2 * 2
    if min(height, width) < 2 * MIN_SIDE_PX:
        return None
    part = part[:height, :width].reshape(height // 2, 2, width // 2, 2, -1).mean((1, 3))
    measured = _measure(part, np.ones(part.shape[:2], bool), (0, 0))
    return None if measured is None else 2 * measured.level


def _corners(height: int, width: int) -> list[tuple[int, int]]:
    """Corners of windows spread evenly over the image."""

    def starts(extent: int, most: float) -> list[int]:
        last = max(0, extent - WINDOW_SIDE_PX)
        count = min(-(-last // WINDOW_STRIDE_PX) + 1, max(1, int(most)))
        return [int(start) for start in np.linspace(0, last, count)]

    most = MAX_WINDOWS**0.5
    return [
        (top, left)
        for top in starts(height, most * (height / width) ** 0.5)
        for left in starts(width, most * (width / height) ** 0.5)
    ]
