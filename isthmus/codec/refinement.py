"""Latents that suit one image better than the encoder's: a few gradient steps through the frozen decoder.

One encoder serves all images, so its latents are not the best for any one of them (the amortisation gap:
Cremer et al. 2018). Here gradient descent on bits + λ · error, the objective of training, improves them, with
rounding as in training (Campos et al. 2019, "Content adaptive optimization for neural image compression";
Yang et al. 2020, "Improving inference for neural image compression"). The decoder stays the same; only the
numbers in the file change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from isthmus.model.autoencoder import Autoencoder
from isthmus.model.bottlenecks.entropy import rate_model

MARGIN_STEPS = 2  # steps of the grid around a tile that its refinement sees: what lies farther hardly matters
# A squared error counts more than in training: on the curve of bits over PSNR that one model's qualities
# give, a dB costs more bits than λ states, and effort is compared with this curve.
ERROR_WEIGHT_FACTOR = 1.6
_RATE = 0.3
_MOMENTUM = 0.7
_CURVATURE = 12.0  # of the error along all latents together, in units of that along one alone
_OF_RATE = 2.0  # curvature of the bits, in bits per squared step: a guess that keeps silent channels still


@torch.no_grad()
def refine_latents(model: Autoencoder, image: Tensor, latents: Tensor, quality: float, steps: int) -> Tensor:
    """Better latents (C, h, w) for `image` at a quality, from the encoder's; the same on every call.

    Args:
        image: (1, channels, H, W) floats in [0, 1].
        latents: (C, ⌈H/stride⌉, ⌈W/stride⌉).
        steps: gradient steps; each costs about three times what decoding does.
    """
    bottleneck = rate_model(model)
    size = (image.shape[-2], image.shape[-1])
    quality_values = torch.full((1,), float(quality), device=latents.device)
    gain = bottleneck.gain(quality_values, 4)
    weight = math.log(2) * bits_per_error(model, quality)
    dice = torch.Generator(device=latents.device).manual_seed(0)
    now = latents[None]
    pace = _step_sizes(model, now, size, weight, gain, dice)
    moment = torch.zeros_like(now)
    for step in range(steps):
        with torch.enable_grad():
            now = now.detach().requires_grad_()
            code = bottleneck.coded(now, quality_values, dice)
            error = (model.decode_raw(code.values, size, []) - image).square().sum()
            (slope,) = torch.autograd.grad(weight * error + bottleneck.rate(code).sum(), now)
        moment = _MOMENTUM * moment + slope
        now = now.detach() - _RATE * 0.5 * (1 + math.cos(math.pi * step / steps)) * pace * moment
    return now[0]


def bits_per_error(model: Autoencoder, quality: float) -> float:
    """What a squared error of values in [0, 1], summed over an image and its channels, is worth in bits."""
    nats = rate_model(model).error_weight(torch.tensor([float(quality)]))
    return ERROR_WEIGHT_FACTOR * float(nats) / math.log(2)


def _step_sizes(
    model: Autoencoder,
    latents: Tensor,
    size: tuple[int, int],
    weight: float,
    gain: Tensor,
    dice: torch.Generator,
) -> Tensor:
    """(1, C, 1, 1): one over the curvature of the objective along each channel.

    The curvature of the error is twice the squared length of the decoder's change for a unit of a latent; one
    random probe estimates it for all latents (Hutchinson 1990).
    """
    with torch.enable_grad():
        free = latents.detach().requires_grad_()
        painted = model.decode_raw(free, size, [])
        probe = torch.randn(painted.shape, generator=dice, device=painted.device)
        (answer,) = torch.autograd.grad(painted, free, probe)
    length = answer.square().mean((0, 2, 3), keepdim=True)
    return 1 / (_CURVATURE * 2 * weight * length + math.log(2) * _OF_RATE * gain.square())
