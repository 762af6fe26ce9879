"""Terms for the channel that marks defects: how far its logits are from the mask, one number per image.

Each is a function `trace -> (N,)` of `trace.marked (N, 1, H, W)`, logits, and of the corruption's mask.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from isthmus.model.trace import Trace

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
