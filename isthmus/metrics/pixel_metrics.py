"""Metrics of images and codes, one number per image: errors, cross-entropies, log-densities, divergence."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError


def mse(images: Tensor, target: Tensor) -> Tensor:
    """Mean squared error per pixel-channel.

    Args:
        images, target: (N, C, H, W), floating point, range [0, 1].

    Returns:
        (N,), in squared units of the range. Differentiable.

    Raises:
        DataError: the shapes differ or the values are integers.
    """
    images, target = check_pair(images, target)
    return (images - target).square().flatten(1).mean(1)


def mae(images: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error per pixel-channel; arguments, result and errors as for `mse`."""
    images, target = check_pair(images, target)
    return (images - target).abs().flatten(1).mean(1)


def psnr(images: Tensor, target: Tensor, *, eight_bit: bool = False, at_most: float = math.inf) -> Tensor:
    """Peak signal-to-noise ratio, −10·log₁₀(MSE), for a peak of 1.

    Args:
        images, target: (N, C, H, W), floating point, range [0, 1].
        eight_bit: put both through `round_to_levels` first: the number a saved 8-bit file will have.
        at_most: ceiling in dB. Equal images have infinite PSNR, and so has any mean over them; a ceiling
            (say 100) keeps a mean finite, and the gradient too.

    Returns:
        (N,), in dB; `at_most` for equal images. Differentiable unless `eight_bit`.

    Raises:
        DataError: as for `mse`.
    """
    if eight_bit:
        images, target = round_to_levels(images), round_to_levels(target)
    least = 0.0 if at_most == math.inf else 10 ** (-at_most / 10)
    return -10 * mse(images, target).clamp_min(least).log10()


def round_to_levels(images: Tensor, *, bits: int = 8) -> Tensor:
    """`images` after being saved with `bits` per channel: clipped, rounded, still in [0, 1].

    The result is k / (2^bits − 1) with an integer k. The gradient is zero: measure with it, do not train.
    """
    top = float((1 << bits) - 1)
    return (images.clamp(0, 1) * top).round() / top


def check_pair(images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two batches, checked to be comparable and in at least single precision.

    Raises:
        DataError: not (N, C, H, W), different shapes, no pixels, or integer values.
    """
    if images.ndim != 4 or images.shape != target.shape:
        shapes = f"{tuple(images.shape)} and {tuple(target.shape)}"
        raise DataError(
            "two batches (N, C, H, W) of one shape are needed, got {shapes}",
            id="metric.two-batches",
            shapes=shapes,
        )
    if images[:1].numel() == 0 and images.shape[0] > 0:
        raise DataError(
            "images without pixels cannot be compared: {shape}",
            id="metric.no-pixels",
            shape=tuple(images.shape),
        )
    if not (images.is_floating_point() and target.is_floating_point()):
        raise DataError(
            "floats in [0, 1] are needed, got {dtype} and {target_dtype}",
            id="metric.sample-type",
            dtype=images.dtype,
            target_dtype=target.dtype,
        )
    return _to_single_precision(images), _to_single_precision(target)


def _to_single_precision(values: Tensor) -> Tensor:
    # A mean over thousands of pixels in 16 bits loses the digits that are to be compared.
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def bce(probabilities: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy −t·ln p − (1−t)·ln(1−p), mean per pixel-channel.

    Logarithms are cut at −100, so a reconstruction that is wrongly certain costs 100 nats and not infinity.
    To train, use `bce_from_logits`: it does not saturate.

    Args:
        probabilities: (N, C, H, W), in [0, 1].
        target: same shape, in [0, 1]; grey values are read as probabilities.

    Returns:
        (N,), in nats per pixel-channel; never below `binary_entropy(target)`. Differentiable.

    Raises:
        DataError: the shapes differ, the values are integers, or either lies outside [0, 1].
    """
    probabilities, target = check_pair(probabilities, target)
    _check_unit_range(probabilities, "probabilities")
    _check_unit_range(target, "the target")
    return F.binary_cross_entropy(probabilities, target, reduction="none").flatten(1).mean(1)


def bce_from_logits(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of p = sigmoid(logits), computed without forming p; otherwise as `bce`.

    Args:
        logits: (N, C, H, W), any real number.
        target: same shape, in [0, 1] (not checked: this runs in every training step).

    Returns:
        (N,), in nats per pixel-channel. Differentiable.
    """
    logits, target = check_pair(logits, target)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)


def binary_entropy(target: Tensor) -> Tensor:
    """The data's own floor: the least binary cross-entropy any reconstruction of `target` can have.

    Zero for black-and-white images; grey values cannot be predicted for free, ½ costs ln 2
    (Cover & Thomas, "Elements of information theory", 2nd ed., eq. 2.5).

    Args:
        target: (N, C, H, W), in [0, 1].

    Returns:
        (N,), in nats per pixel-channel.

    Raises:
        DataError: not four axes, integers, or values outside [0, 1].
    """
    target, _ = check_pair(target, target)
    _check_unit_range(target, "the target")
    return -(torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)).flatten(1).mean(1)


def bits_per_dim(nats_per_image: Tensor, pixel_channels: int) -> Tensor:
    """Nats per image to bits per pixel-channel: nats / (C·H·W · ln 2). Any shape in, the same shape out."""
    return nats_per_image / (pixel_channels * math.log(2))


def log_mean_exp(values: Tensor, dim: int) -> Tensor:
    """ln of the mean of exp(values) along `dim`, without overflow; `dim` is dropped.

    With log weights of K samples this is the importance-weighted bound (Burda et al. 2016, eq. 8).
    """
    return values.logsumexp(dim) - math.log(values.shape[dim])


def _check_unit_range(values: Tensor, name: str) -> None:
    if values.numel() == 0:
        return
    low, high = (float(bound) for bound in torch.aminmax(values.detach()))
    if not (low >= 0 and high <= 1):
        raise DataError(
            "{name} must be in [0, 1], found values from {low:.4g} to {high:.4g}",
            id="metric.value-range",
            name=name,
            low=low,
            high=high,
        )


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
