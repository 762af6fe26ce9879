"""Pixel-wise distances between two batches of images, one number per image."""

from __future__ import annotations

import math

import torch
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
    """What is left of `images` after being saved with `bits` per channel: clipped, rounded, still in [0, 1].

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
