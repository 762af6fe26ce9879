"""Structural similarity (SSIM and its multi-scale form) and fine detail, one number per image.

Sources: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural
similarity", IEEE TIP 2004, §III-B; Wang, Simoncelli, Bovik, "Multiscale structural similarity for image
quality assessment", Asilomar 2003, §3.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError
from isthmus.metrics.pixel_metrics import check_pair

WINDOW_PX = 11
SIGMA_PX = 1.5
PIECE_PX = 128
STRIP_ROWS_PX = 256
C1 = 0.01**2
C2 = 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(images: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13), averaged over channels and window positions.

    The window is the paper's: 11×11 Gaussian, σ 1.5, weights summing to one (so covariances are the weighted,
    biased ones), K₁ = 0.01, K₂ = 0.03, data range 1. Only positions where the whole window lies inside the
    image count. On a side shorter than 11 pixels the window shrinks to that side.

    Args:
        images, target: (N, C, H, W), floating point, range [0, 1].

    Returns:
        (N,), in [−1, 1]; 1 for equal images. Differentiable.

    Raises:
        DataError: the shapes differ or the values are integers.
    """
    images, target = check_pair(images, target)
    luminance, contrast = _terms(images, target)
    return (luminance * contrast).mean((1, 2, 3))


def ssim_of_pictures(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]) -> float:
    """`ssim` of two pictures (H, W, C) of any size, in strips that overlap by a window: in little memory."""
    height = len(first)
    overlap = min(WINDOW_PX, height) - 1
    total = 0.0
    for top in range(0, height - overlap, STRIP_ROWS_PX):
        rows = slice(top, min(top + STRIP_ROWS_PX + overlap, height))
        a, b = (
            torch.tensor(picture[rows]).permute(2, 0, 1)[None].float() / 255 for picture in (first, second)
        )
        total += float(ssim(a, b)) * (rows.stop - rows.start - overlap)
    return total / (height - overlap)


def ms_ssim(images: Tensor, target: Tensor) -> Tensor:
    """Multi-scale structural similarity (Wang et al. 2003, eq. 7 with the five weights of §3.2).

    Contrast-structure terms of scales 1 to 4 and the full SSIM of scale 5, each averaged over the image, as a
    weighted product per channel; then the mean over channels. Between scales images are averaged 2×2; an
    odd side is rounded up. A negative term counts as zero, and has no gradient.

    Args:
        images, target: (N, C, H, W), floating point, range [0, 1], both sides above 160 (`ms_ssim_possible`).

    Returns:
        (N,), in [0, 1]; 1 for equal images. Differentiable.

    Raises:
        DataError: too small, the shapes differ, or the values are integers.
    """
    images, target = check_pair(images, target)
    height, width = images.shape[-2:]
    if not ms_ssim_possible(height, width):
        raise DataError(
            "MS-SSIM needs both sides above 160 pixels, the images have {height}×{width}",
            id="metric.ms-ssim-size",
            height=height,
            width=width,
        )
    product = torch.ones(images.shape[:2], dtype=images.dtype, device=images.device)  # (N, C)
    last = len(SCALE_WEIGHTS) - 1
    for scale, weight in enumerate(SCALE_WEIGHTS):
        luminance, contrast = _terms(images, target)
        term = (luminance * contrast if scale == last else contrast).mean((2, 3))
        product = product * _positive_power(term, weight)
        if scale < last:
            images = F.avg_pool2d(images, 2, ceil_mode=True)
            target = F.avg_pool2d(target, 2, ceil_mode=True)
    return product.mean(1)


def ms_ssim_possible(height: int, width: int) -> bool:
    """Whether the full window still fits the coarsest of the five scales: both sides above 160."""
    return min(height, width) > (WINDOW_PX - 1) << (len(SCALE_WEIGHTS) - 1)


def _terms(images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The luminance factor and the contrast-structure factor at every position, (N, C, H', W') each."""
    # Covariances do not change under a shift, and near zero E[x²] − E[x]² loses far fewer digits.
    shift = target.detach().mean((2, 3), keepdim=True)
    x, y = images - shift, target - shift
    # The denominators need only the sum of the two variances: four maps instead of five.
    mean_x, mean_y, power, product = _blur(torch.stack((x, y, x * x + y * y, x * y)))
    variances = power - mean_x * mean_x - mean_y * mean_y
    covariance = product - mean_x * mean_y
    mean_x, mean_y = mean_x + shift, mean_y + shift
    luminance = (2 * mean_x * mean_y + C1) / (mean_x * mean_x + mean_y * mean_y + C1)
    contrast = (2 * covariance + C2) / (variances + C2)
    return luminance, contrast


def _blur(maps: Tensor) -> Tensor:
    """Gaussian window means of (..., H, W) where the window fits, one axis after the other."""
    # Mixed-precision training would do the products in 16 bits, where variances drown.
    with torch.autocast(maps.device.type, enabled=False):
        return _blur_rows(_blur_rows(maps).mT).mT


def _blur_rows(maps: Tensor) -> Tensor:
    # A product with a banded matrix is on a CPU several times as fast as a convolution of one channel.
    # Long rows are cut into overlapping pieces, so that few of the products are with zeros.
    length = maps.shape[-1]
    window = min(WINDOW_PX, length)
    if length <= 2 * PIECE_PX:
        return maps @ _band(length, window, maps)
    valid = length - window + 1
    padded = F.pad(maps, (0, -valid % PIECE_PX))
    pieces = padded.unfold(-1, PIECE_PX + window - 1, PIECE_PX)  # (..., pieces, PIECE_PX + window - 1)
    return (pieces @ _band(PIECE_PX + window - 1, window, maps)).flatten(-2)[..., :valid]


def _band(length: int, window: int, like: Tensor) -> Tensor:
    """(length, length - window + 1): column j holds the window's weights from row j on."""
    offset = torch.arange(window, dtype=torch.float64) - (window - 1) / 2
    weights = torch.exp(-0.5 * (offset / SIGMA_PX) ** 2)
    band = torch.zeros(length, length - window + 1, dtype=torch.float64)
    for step, weight in enumerate(weights / weights.sum()):
        band.diagonal(-step).fill_(weight)
    return band.to(like)


def _positive_power(base: Tensor, exponent: float) -> Tensor:
    # The slope of a fractional power is infinite at zero; staying away from there keeps NaN out of training.
    least = torch.finfo(base.dtype).eps
    return torch.where(base > 0, base.clamp_min(least) ** exponent, torch.zeros_like(base))


MIN_FREQUENCY_CYCLES_PER_PX = (
    0.25  # cycles per pixel: half the highest frequency that a grid of pixels can hold
)


def high_frequency_energy(images: Tensor) -> Tensor:
    """Energy per pixel-channel at frequencies of at least ¼ cycle per pixel, `(N,)`.

    Each image is mirrored at its right and lower border, so that no frequency comes from the jump between
    opposite borders, and Fourier transformed; frequencies are radial. By Parseval's theorem energies of all
    frequencies add up to the mean square. The ratio of two such energies shows how much of the detail
    a reconstruction keeps: below 1 it is blurred, above 1 it has noise or invented texture.

    Args:
        images: `(N, C, H, W)` on any scale.
    """
    mirrored = torch.cat([images, images.flip(-1)], -1)
    mirrored = torch.cat([mirrored, mirrored.flip(-2)], -2).double()
    height, width = mirrored.shape[-2:]
    power = torch.fft.fft2(mirrored, norm="forward").abs().square()  # (N, C, 2H, 2W)
    rows = torch.fft.fftfreq(height, dtype=torch.float64, device=images.device)
    columns = torch.fft.fftfreq(width, dtype=torch.float64, device=images.device)
    fine = torch.hypot(rows[:, None], columns[None, :]) >= MIN_FREQUENCY_CYCLES_PER_PX
    energy: Tensor = (power * fine).sum((-2, -1)).mean(1)
    return energy


DETAIL_SIGMA_PX = 1.5


def blur_gaussian(images: Tensor, sigma: float) -> Tensor:
    """`(N, C, H, W)` smoothed by a Gaussian of `sigma` pixels, cut off at 3σ; borders are repeated."""
    radius = max(1, math.ceil(3 * sigma))
    places = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (places / sigma).square())
    weights = (weights / weights.sum()).expand(images.shape[1], 1, 1, -1)
    padded = F.pad(images, (radius,) * 4, mode="replicate")
    rows = F.conv2d(padded, weights, groups=images.shape[1])
    return F.conv2d(rows, weights.transpose(2, 3), groups=images.shape[1])


def fine_detail(images: Tensor) -> Tensor:
    """Variance of each image minus its Gaussian blur of σ 1.5 pixels, `(N,)`.

    A band of all that is finer than about six pixels. The ratio of two means over sets of images says how
    much detail one set has compared with the other.

    Args:
        images: `(N, C, H, W)` on any scale.
    """
    return (images - blur_gaussian(images, DETAIL_SIGMA_PX)).flatten(1).var(1, correction=0)
