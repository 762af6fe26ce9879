"""Negative log-densities of images, and the divergence of a code's posterior from its prior; in nats."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def gaussian_nll(mean: Tensor, log_variance: Tensor, x: Tensor) -> Tensor:
    """−ln N(x; mean, exp(log_variance)), summed over everything but the first axis.

    ½·Σ[ln 2π + log_variance + (x − mean)² / exp(log_variance)] (Bishop, "Pattern recognition and machine
    learning", eq. 1.46). A density, not a probability: it may be negative, and tends to −∞ as the variance
    of a perfect reconstruction goes to 0.

    Args:
        mean, x: (N, ...), one shape.
        log_variance: any shape that broadcasts to it, so one number for all pixels will do.

    Returns:
        (N,), in nats per image. Differentiable.
    """
    log_variance = log_variance.expand_as(mean)
    scaled = (x - mean).square() * (-log_variance).exp()
    return 0.5 * (scaled + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """−ln Bernoulli(x; sigmoid(logits)), summed over everything but the first axis.

    Σ[softplus(logits) − x·logits]; (Kingma & Welling 2014, appendix C.1). A likelihood only where x is
    0 or 1; for values between, the cross-entropy.

    Args:
        logits: (N, ...), any real number.
        x: same shape, in [0, 1].

    Returns:
        (N,), in nats per image. Differentiable.
    """
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) ‖ N(0, 1)) of every unit.

    ½·(mean² + exp(log_variance) − 1 − log_variance) (Kingma & Welling 2014, appendix B).

    Args:
        mean, log_variance: (N, d).

    Returns:
        (N, d), in nats, never negative; sum over units for the divergence of the whole code. Differentiable.
    """
    # expm1 keeps the digits that exp(v) − 1 drops near the prior, where most units of a trained code are.
    return 0.5 * (mean.square() + log_variance.expm1() - log_variance)
