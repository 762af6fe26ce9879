"""How much fine detail images hold: what a blurred picture lacks."""

from __future__ import annotations

import torch
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
