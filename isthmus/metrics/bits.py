"""Cross-entropies of pixels and the conversions between nats and bits."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import DataError
from isthmus.metrics.pixels import check_pair


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
            "{name} must lie in [0, 1], found values from {low:.4g} to {high:.4g}",
            id="metric.value-range",
            name=name,
            low=low,
            high=high,
        )
