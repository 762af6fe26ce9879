"""Learning to denoise from noisy images alone: two versions of each whose noise is independent.

Of y with Gaussian noise of σ and fresh noise z of the same σ, y + αz and y − z/α have independent noise, so
whoever predicts the second from the first can only predict the clean image (Pang, Zheng, Quan and Ji 2021,
section 3). Images in files have lost the noise that went beyond black and white (`measures.cut_noise`): near
both it is weaker, and there z is, too. What is learned is then the mean of such noise; `restore` undoes that.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.metrics.noise import ClippedNoise
from isthmus.model import axes
from isthmus.model.axes.corruption import LEAST_RECORRUPTION as LEAST
from isthmus.model.axes.corruption import MOST_RECORRUPTION as MOST
from isthmus.model.trace import Corrupted

_MEAN_WEIGHT = 1 - (math.atan(MOST) - math.atan(LEAST)) / (MOST - LEAST)  # of α² / (1 + α²)
_AROUND = 9  # pixels along the window whose mean tells how near black or white is


def recorrupted(images: Tensor, how: axes.Recorrupted, generator: torch.Generator) -> Corrupted:
    """Two versions of noisy `images`; the noise of the target has a variance of σ²(1 + 1/α²), by which each
    image's say is divided.

    Raises:
        UsageError: nobody said how strong the noise is.
    """
    if how.sigma is None:  # a training measures it before the first step
        raise UsageError(
            "the noise of these images is not known: give corruption.sigma", id="recipe.noise-unknown"
        )
    sigma, like = how.sigma / 255, images[:, :1, :1, :1]
    drawn = torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)
    alpha = LEAST + (MOST - LEAST) * drawn
    noise = sigma * torch.randn(images.shape, generator=generator, device=images.device)
    if how.clipped:
        noise = noise * ClippedNoise(sigma).share(_around(images))
    weight = (alpha.square() / (1 + alpha.square()) / _MEAN_WEIGHT).expand(-1, 1, *images.shape[-2:])
    level = (sigma * (1 + alpha.square()).sqrt()).expand(-1, 1, *images.shape[-2:])
    condition = level if how.condition else None
    return Corrupted(images + alpha * noise, images - noise / alpha, weight, condition)


def _around(images: Tensor) -> Tensor:
    """The mean of each pixel's surroundings."""
    half = _AROUND // 2
    mode = "reflect" if min(images.shape[-2:]) > half else "replicate"
    return F.avg_pool2d(F.pad(images, (half,) * 4, mode=mode), _AROUND, 1)
