"""How much a code moves when the image changes a little: what a contractive code is known for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.model.autoencoder import Autoencoder

NOISE = 25 / 255


@dataclass(frozen=True)
class Sensitivity:
    """Movements of the code, each divided by the code's own spread, so that a smaller code gains nothing.

    Attributes:
        jacobian: root mean square over images of ‖∂code/∂input‖_F, over the standard deviation of a unit
            (root of the mean over units of the variance over images), per unit of brightness.
        shift: mean distance between the codes of an image and of the same moved right by one pixel (its first
            column repeated), over the root mean square distance of codes from their mean.
        noise: the same for additive Gaussian noise of σ = 25/255.
    """

    jacobian: float
    shift: float
    noise: float


def sensitivity(model: Autoencoder, images: Tensor, *, probes: int = 8, seed: int = 0) -> Sensitivity:
    """Measure on `images (N, C, H, W)` in [0, 1], N at least 2, at the size that the model works at.

    The Jacobian's norm is estimated without bias by `probes` random vectors: ‖J‖²_F = E‖Jᵀv‖² with
    v ~ N(0, I) (Hutchinson 1990).

    Raises:
        ValueError: fewer than two images, or a code that is the same for all of them.
    """
    if len(images) < 2:
        raise ValueError("how a code varies can only be said of two images or more")
    generator = torch.Generator(device=images.device).manual_seed(seed)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            codes = model.encode_batch(images).flatten(1)
            moved = model.encode_batch(F.pad(images, (1, 0, 0, 0), mode="replicate")[..., :-1]).flatten(1)
            noise = torch.randn(images.shape, generator=generator, device=images.device) * NOISE
            noisy = model.encode_batch(images + noise).flatten(1)
        squared = _squared_jacobian(model, images, probes, generator)
    finally:
        model.train(was_training)
    variance = codes.var(0, correction=0)
    spread = math.sqrt(float(variance.sum()))
    if spread <= 1e-6 * float(codes.norm(dim=1).mean()):  # rounding alone tells codes of equal images apart
        raise ValueError("the code is the same for all these images")
    return Sensitivity(
        jacobian=math.sqrt(squared / float(variance.mean())),
        shift=float((moved - codes).norm(dim=1).mean()) / spread,
        noise=float((noisy - codes).norm(dim=1).mean()) / spread,
    )


def _squared_jacobian(model: Autoencoder, images: Tensor, probes: int, generator: torch.Generator) -> float:
    x = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        z = model.encode_batch(x)
        total = 0.0
        for i in range(probes):
            v = torch.randn(z.shape, generator=generator, device=z.device)
            (pulled,) = torch.autograd.grad(z, x, v, retain_graph=i < probes - 1)
            total += float(pulled.square().sum())
    return total / (probes * len(images))
