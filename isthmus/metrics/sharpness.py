"""How much fine detail images hold: what a blurred picture lacks."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_FREQUENCY_CYCLES_PER_PX = (
    0.25  # cycles per pixel: half the highest frequency that a grid of pixels can hold
)


def high_frequency_energy(images: Tensor) -> Tensor:
    """Energy per pixel-channel at frequencies of at least ¼ cycle per pixel, `(N,)`.

    Each image is mirrored at its right and lower border, so that no frequency comes from the jump between
    opposite borders, and Fourier transformed; frequencies are radial. By Parseval's theorem energies of all
    frequencies add up to the mean square. The ratio of two such energies says how much of the detail
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
