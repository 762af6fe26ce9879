"""Gaussian noise that was cut off at black and white, as it is in every file of whole samples.

Near black half of the noise is lost: what is left is weaker, and its mean is too bright; near white likewise.
Mean and deviation of cut noise are known functions of the clean value and σ (Foi 2009, "Clipped noisy images:
heteroskedastic modeling and practical denoising", section 2), and so are their inverses. Values are those of
images in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_TABLE_STEPS = 4095  # of the tables from black to white


@dataclass(frozen=True)
class ClippedNoise:
    """Noise of `sigma`, in units of the range of the samples, cut off at black, at white, at both or not."""

    sigma: float
    black: bool = True
    white: bool = True

    def mean(self, clean: Tensor) -> Tensor:
        """What the noise shows of clean values in the mean."""
        visible = clean
        if self.black:
            visible = visible + _clipped_mean(clean, self.sigma)
        if self.white:
            visible = visible - _clipped_mean(1 - clean, self.sigma)
        return visible

    def share(self, mean: Tensor) -> Tensor:
        """Its deviation in units of σ, where `mean` is what it shows in the mean."""
        return _look_up(_tables(self)[0], mean)

    def remove_bias(self, mean: Tensor) -> Tensor:
        """The clean values, 0 to 1, of which the noise shows `mean`: the inverse of `mean`."""
        return mean + _look_up(_tables(self)[1], mean)

    def sigma_before_clipping(self, deviation: float, means: Tensor) -> float:
        """σ of noise that has this deviation over places with these means, after it was cut off."""
        sigma = deviation
        for _ in range(10):
            share = ClippedNoise(max(1e-4, round(sigma, 4)), self.black, self.white).share(means)
            sigma = deviation / float(share.square().mean().sqrt())
        return sigma


def _clipped_mean(clean: Tensor, sigma: float) -> Tensor:
    """By how much the mean rises when all below 0 becomes 0: the mean of max(−x − n, 0)."""
    return sigma * _normal_density(clean / sigma) - clean * _normal_cdf(-clean / sigma)


def _clipped_square(clean: Tensor, sigma: float) -> Tensor:
    """The mean of max(−x − n, 0)²."""
    squares = (clean.square() + sigma**2) * _normal_cdf(-clean / sigma)
    return squares - clean * sigma * _normal_density(clean / sigma)


def _normal_cdf(x: Tensor) -> Tensor:
    share: Tensor = torch.special.ndtr(x)
    return share


def _normal_density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


@lru_cache(maxsize=64)
def _tables(noise: ClippedNoise) -> tuple[Tensor, Tensor]:
    """`share`, and what `remove_bias` adds, at means from black to white."""
    clean = torch.linspace(0, 1, _TABLE_STEPS + 1, dtype=torch.float64)
    mean = noise.mean(clean)
    square = clean.square() + noise.sigma**2  # of the noise as it was
    if noise.black:
        square = square - _clipped_square(clean, noise.sigma)
    if noise.white:
        # Above 1 is 1: with e = x + n − 1 > 0, the square (1 + e)² becomes 1.
        over = _clipped_mean(1 - clean, noise.sigma)
        square = square - 2 * over - _clipped_square(1 - clean, noise.sigma)
    share = (square - mean.square()).clamp_min(0).sqrt() / noise.sigma
    at = clean.numpy()
    shares = np.interp(at, mean.numpy(), share.numpy()).clip(0.05, 1)
    return torch.from_numpy(shares).float(), torch.from_numpy(np.interp(at, mean.numpy(), at) - at).float()


def _look_up(table: Tensor, mean: Tensor) -> Tensor:
    values: Tensor = table.to(mean)[(mean.clamp(0, 1) * _TABLE_STEPS).round().long()]
    return values
