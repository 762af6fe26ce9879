"""Where a linear code of image pieces may start: the coarsest waves of a cosine transform, as in JPEG."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# One brightness and two colour differences, orthogonal. How much less of a photograph lies in each is a rough
# guess that only decides which waves are among the first.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
_ENERGIES = (1.0, 0.12, 0.04)


def cosine_basis(channels: int, side: int, count: int) -> tuple[Tensor, Tensor]:
    """Orthonormal rows that paint pieces of `side × side` pixels, and how far their numbers spread.

    Returns:
        `(min(count, all), all = channels·side²)` and, to within a factor of two or three, the standard
        deviation of each row's number in photographs in [0, 1], `(min(count, all),)`.

    Rows are products of a colour and of two waves of the DCT-II (Ahmed, Natarajan and Rao 1974), coarse ones
    first; columns are in the order of `pixel_unshuffle`.
    """
    place = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(math.pi / side * (place[None] + 0.5) * place[:, None]) * math.sqrt(2 / side)
    waves[0] /= math.sqrt(2)
    colours = torch.eye(channels, dtype=torch.float64)
    energies = torch.ones(channels, dtype=torch.float64)
    if channels == 3:
        colours = torch.nn.functional.normalize(torch.tensor(_COLOURS, dtype=torch.float64), dim=1)
        energies = torch.tensor(_ENERGIES, dtype=torch.float64)
    rows = torch.einsum("kc,ai,bj->kabcij", colours, waves, waves).reshape(-1, channels * side**2)
    # Spectra of photographs fall with the square of the frequency (Field 1987).
    frequency = place[:, None].square() + place.square()
    energy = energies[:, None, None] / (1 + frequency)
    order = energy.flatten().argsort(descending=True, stable=True)
    # Fitted to photographs in pieces of side 16: 6.0 for the brightness, .07 at the tenth frequency.
    spread = 6 * energies.sqrt()[:, None, None] / (1 + frequency)
    chosen = order[:count]
    return rows[chosen].float(), spread.flatten()[chosen].float()
