"""Image terms: how far the output is from the target, one number per image, a mean over pixel-channels.

Each is a function `trace -> (N,)`. A per-pixel weight of the trace (mean 1) is applied where the term is a mean
over pixels; SSIM has no pixels of its own and ignores it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.errors import UsageError, nearest
from isthmus.measures.structure import ssim
from isthmus.model.trace import Trace

ImageTerm = Callable[[Trace], Tensor]


def _mean(trace: Trace, per_pixel: Tensor) -> Tensor:
    weight = trace.corrupted.weight
    return (per_pixel if weight is None else per_pixel * weight).flatten(1).mean(1)


def mse(trace: Trace) -> Tensor:
    """Mean squared error."""
    return _mean(trace, (trace.output - trace.corrupted.target).square())


def l1(trace: Trace) -> Tensor:
    """Mean absolute error."""
    return _mean(trace, (trace.output - trace.corrupted.target).abs())


def bce(trace: Trace) -> Tensor:
    """Binary cross-entropy in nats, from the logits; for targets in (0, 1) its least value is the data's own entropy."""
    return _mean(
        trace, F.binary_cross_entropy_with_logits(trace.raw, trace.corrupted.target, reduction="none")
    )


def ssim_term(trace: Trace) -> Tensor:
    """1 − SSIM (Wang et al. 2004)."""
    return 1 - ssim(trace.output, trace.corrupted.target)


def gaussian_nll(trace: Trace) -> Tensor:
    """Negative log density in nats under a normal around the output, with one learned σ for all pixels.

    `½ log 2πσ² + (x − x̂)²/2σ²`; the learned σ makes β = 1 right for any data (Rybkin et al. 2021, σ-VAE, eq. 4).
    """
    log_sigma = trace.model.noise_log_sigma
    error = _mean(trace, (trace.output - trace.corrupted.target).square())
    return 0.5 * math.log(2 * math.pi) + log_sigma + 0.5 * error * (-2 * log_sigma).exp()


IMAGE_TERMS: dict[str, ImageTerm] = {
    "mse": mse,
    "bce": bce,
    "l1": l1,
    "ssim": ssim_term,
    "gaussian-nll": gaussian_nll,
}
NATS = ("bce", "gaussian-nll")  # the terms that are log-likelihoods


def parse_sum(text: str) -> list[tuple[str, float, float]]:
    """Read `mse`, or a sum such as `0.8*mse+0.2*ssim@0.3`, as rows `(term, weight, warm-up share)`.

    Raises:
        UsageError: not of that form, or an unknown term.
    """
    rows = []
    for part in text.replace(" ", "").split("+"):
        match = re.fullmatch(r"(?:([0-9.]+(?:e-?\d+)?)\*)?([a-z0-9-]+)(?:@([0-9.]+))?", part)
        if match is None:
            raise UsageError(f"objective.image={text}: write mse, or a sum such as 0.8*mse+0.2*ssim@0.3")
        name = match[2]
        if name not in IMAGE_TERMS:
            raise UsageError(f"image term '{name}' is not known{nearest(name, list(IMAGE_TERMS))}")
        try:
            rows.append((name, float(match[1] or 1), float(match[3] or 0)))
        except ValueError:
            raise UsageError(f"objective.image={text}: '{part}' has a number that cannot be read") from None
    return rows


def apply_range(raw: Tensor, output: str) -> Tensor:
    """The decoder's range: a sigmoid, or nothing (clipped only where images leave the model)."""
    return torch.sigmoid(raw) if output == "sigmoid" else raw
