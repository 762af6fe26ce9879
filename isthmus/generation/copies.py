"""Whether a prior gives back what it was fitted to: distances of its draws to the nearest given code."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.generation.prior import Prior, draw_codes
from isthmus.metrics.neighbours import find_neighbours

COMPARED_CODES = 500
NEAR_QUANTILE = 0.05
MAX_USUAL_SHARE = 0.15  # of copies; above it a prior is said to repeat its images
DRAWING_STEPS = 16


def measure_copies(prior: Prior, codes: Tensor, seed: int = 0) -> float:
    """Share of draws nearer to a given code than all but 5 % of the given codes are to one another.

    By chance .05: an unseen image's code is as far from the given ones as these are from each other. A prior
    that repeats what it was fitted to comes near 1.

    Args:
        codes: `(N, …)` that the prior was fitted to, at least three.
    """
    flat = codes.flatten(1).float()
    scale = flat.std(0).clamp_min(1e-6 * flat.std().clamp_min(1e-12))
    flat = flat / scale  # each number counts alike, whatever its unit
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(flat), generator=generator)[:COMPARED_CODES]
    # Of each code the second neighbour is taken: the first is the code itself.
    usual = find_neighbours(flat[chosen], flat, count=2, dtype=torch.float32)[0][:, 1]
    drawn = draw_codes(prior, codes.shape[1:], COMPARED_CODES, seed=seed, steps=DRAWING_STEPS)
    near = find_neighbours(drawn.flatten(1) / scale, flat, dtype=torch.float32)[0][:, 0]
    return float((near < usual.quantile(NEAR_QUANTILE)).double().mean())
