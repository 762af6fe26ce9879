"""Terms of an objective: how far the output is from the target, one number per image.

Each is a function `trace -> (N,)`. Image terms are means over pixel-channels; a per-pixel weight of the trace
(mean 1) is applied, except by SSIM. Mask terms compare `trace.marked (N, 1, H, W)`, the logits of the channel
that marks defects, with the corruption's mask.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.metrics import pixel_metrics
from isthmus.metrics.structure import ssim
from isthmus.model.trace import Trace

PSNR_CEILING = 50.0  # dB


def _mean(trace: Trace, per_pixel: Tensor) -> Tensor:
    weight = trace.corrupted.weight
    return (per_pixel if weight is None else per_pixel * weight).flatten(1).mean(1)


def mse(trace: Trace) -> Tensor:
    """Mean squared error."""
    # One pass over the pixels in each direction; a difference and its square take five together.
    return _mean(trace, F.mse_loss(trace.output, trace.corrupted.target, reduction="none"))


def l1(trace: Trace) -> Tensor:
    """Mean absolute error."""
    return _mean(trace, (trace.output - trace.corrupted.target).abs())


def psnr(trace: Trace) -> Tensor:
    """−PSNR / 10 dB = log₁₀ of the mean squared error (Chen et al. 2021, "HINet", section 3.3).

    Every image counts by its ratio of errors, not by their size: a tenth of a decibel is worth the same where
    little noise or few holes were as where there were many. Beyond `PSNR_CEILING` nothing is gained any more.
    """
    error = _mean(trace, F.mse_loss(trace.output, trace.corrupted.target, reduction="none"))
    return (error + 10 ** (-PSNR_CEILING / 10)).log10()


def bce(trace: Trace) -> Tensor:
    """Binary cross-entropy in nats, from the logits; its least value is the entropy of the targets."""
    return _mean(
        trace, F.binary_cross_entropy_with_logits(trace.raw, trace.corrupted.target, reduction="none")
    )


def ssim_term(trace: Trace) -> Tensor:
    """1 − SSIM (Wang et al. 2004)."""
    return 1 - ssim(trace.output, trace.corrupted.target)


def gaussian_nll(trace: Trace) -> Tensor:
    """Negative log density in nats under a normal around the output, with one learned σ for all pixels.

    `½ log 2πσ² + (x − x̂)²/2σ²`; the learned σ makes β = 1 right for any data (Rybkin et al. 2021, eq. 4).
    """
    log_sigma = trace.model.noise_log_sigma
    error = _mean(trace, F.mse_loss(trace.output, trace.corrupted.target, reduction="none"))
    return 0.5 * math.log(2 * math.pi) + log_sigma + 0.5 * error * (-2 * log_sigma).exp()


def bernoulli_nats(raw: Tensor, output: Tensor, log_sigma: Tensor, images: Tensor) -> Tensor:  # noqa: ARG001
    """−ln p(x|z) `(N,)` of pixels that are black or white; of grey values a cross-entropy, no probability."""
    return pixel_metrics.bernoulli_nll(raw, images)


def gaussian_nats(raw: Tensor, output: Tensor, log_sigma: Tensor, images: Tensor) -> Tensor:  # noqa: ARG001
    """−ln p(x|z) `(N,)` under a normal around the output, with the learned σ."""
    return pixel_metrics.gaussian_nll(output, 2 * log_sigma, images)


FOCUS = 2.0  # exponent of the focal loss
TOP_SHARE = 0.01  # of the pixels, whose mean logit is that of the image
SMOOTH = 1.0  # pixels that keep the Dice term finite where nothing is marked


def _marks(trace: Trace) -> tuple[Tensor, Tensor]:
    mask = trace.corrupted.mask
    assert trace.marked is not None and mask is not None  # `capabilities` refuses other recipes
    return trace.marked, mask


def mask_bce(trace: Trace) -> Tensor:
    """Binary cross-entropy in nats per pixel."""
    logits, mask = _marks(trace)
    return F.binary_cross_entropy_with_logits(logits, mask, reduction="none").flatten(1).mean(1)


def mask_focal(trace: Trace) -> Tensor:
    """Cross-entropy in which certain pixels count less: `(1 − p)² · −ln p` (Lin et al. 2017, eq. 4)."""
    logits, mask = _marks(trace)
    nats = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    wrong = 1 - torch.exp(-nats)
    return (wrong**FOCUS * nats).flatten(1).mean(1)


def mask_dice(trace: Trace) -> Tensor:
    """1 − the Dice coefficient of probabilities and mask (Milletari et al. 2016, eq. 3)."""
    logits, mask = _marks(trace)
    marked = torch.sigmoid(logits).flatten(1)
    true = mask.flatten(1)
    shared = 2 * (marked * true).sum(1) + SMOOTH
    return 1 - shared / (marked.square().sum(1) + true.square().sum(1) + SMOOTH)


def mask_image(trace: Trace) -> Tensor:
    """Cross-entropy of the question whether an image has a defect, from the mean of its highest logits."""
    logits, mask = _marks(trace)
    flat = logits.flatten(1)
    top = flat.topk(max(1, round(TOP_SHARE * flat.shape[1])), 1).values.mean(1)
    return F.binary_cross_entropy_with_logits(top, mask.flatten(1).amax(1), reduction="none")
