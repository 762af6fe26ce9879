"""How far reconstructions are from images: one number per image and metric, and their means."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.metrics import bits, pixels, structure

PSNR_CEILING = 100.0  # dB; an exact reconstruction would make every mean infinite
LEAST_PROBABILITY = 1 / 512  # half a level of 8 bits

Numbers = npt.NDArray[np.float64]


def image_scores(
    output: Tensor, target: Tensor, *, logits: Tensor | None, entropies: bool, scales: bool
) -> dict[str, Tensor]:
    """Every metric that compares two images, `(N,)` each.

    - `mse`, `mae`: per pixel-channel, on [0, 1]. `psnr`: dB, at most 100.
    - `ssim`, `ms_ssim`: Wang et al. 2004, 2003.
    - `bce`: cross-entropy in nats per pixel-channel; `bce_excess`: its part above the data's own entropy.

    Args:
        output, target: `(N, C, H, W)` in [0, 1].
        logits: the output before its sigmoid, for an exact `bce`. Without them outputs are read as
            probabilities and kept half a level of 8 bits away from 0 and 1: one wrongly certain pixel would
            outweigh all others.
        entropies: whether `bce` and `bce_excess` are wanted; scales: whether `ms_ssim` is (sides above 160).
    """
    scores = {
        "mse": pixels.mse(output, target),
        "mae": pixels.mae(output, target),
        "psnr": pixels.psnr(output, target, at_most=PSNR_CEILING),
        "ssim": structure.ssim(output, target),
    }
    if scales:
        scores["ms_ssim"] = structure.ms_ssim(output, target)
    if entropies:
        target = target.clamp(0, 1)
        if logits is not None:
            scores["bce"] = bits.bce_from_logits(logits, target)
        else:
            scores["bce"] = bits.bce(output.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY), target)
        scores["bce_excess"] = scores["bce"] - bits.binary_entropy(target)
    return scores


class Scores:
    """Collects per-image numbers batch by batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {}

    def add(self, scores: dict[str, Tensor]) -> None:
        for name, values in scores.items():
            self._parts.setdefault(name, []).append(values.detach().double().cpu())

    def per_image(self) -> dict[str, Numbers]:
        """`(N,)` each, in the order in which they were added."""
        return {name: torch.cat(parts).numpy() for name, parts in self._parts.items()}

    def means(self) -> dict[str, float]:
        """The mean over images of each."""
        return {name: float(values.mean()) for name, values in self.per_image().items()}
