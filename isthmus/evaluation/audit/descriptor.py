"""A few numbers per image that harmless changes barely move and other images move a lot.

Distortion discriminant analysis (Burges, Platt and Jana 2003, "Distortion discriminant analysis for audio
fingerprinting", section III): of all linear projections those whose variance over images is largest against
the variance that crops, JPEG and brightness cause, scaled so that the latter is 1. Distances between
descriptors are then in units of what a harmless change does. It is fitted on the images themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor

MAX_NUMBERS = 64
_RIDGE = 1e-2


def fit_descriptor(clean: Tensor, distorted: Tensor) -> Tensor:
    """The projection `(h·w, d)`, d ≤ 64.

    Args:
        clean: `(n, h, w)` gray canvases; distorted: the same images after a harmless change.
    """
    a, b = normalise(clean).double(), normalise(distorted).double()
    noise = (b - a).T @ (b - a) / len(a)
    signal = a.T @ a / len(a)
    size = len(noise)
    noise += torch.eye(size, dtype=noise.dtype) * (noise.trace() / size * _RIDGE + 1e-9)
    lower = torch.linalg.cholesky(noise)
    half = torch.linalg.solve_triangular(lower, signal, upper=False)
    whitened = torch.linalg.solve_triangular(lower, half.T, upper=False)
    vectors = torch.linalg.eigh((whitened + whitened.T) / 2).eigenvectors.flip(1)
    projection: Tensor = torch.linalg.solve_triangular(lower.T, vectors[:, :MAX_NUMBERS], upper=True)
    return projection.float()


def compute_descriptors(gray: Tensor, projection: Tensor) -> Tensor:
    """`(N, h, w)` → `(N, d)`."""
    parts = [normalise(part) @ projection for part in torch.split(gray, 8192)]
    return torch.cat(parts)


def normalise(gray: Tensor) -> Tensor:
    """`(N, h, w)` → `(N, h·w)` without brightness and contrast; what is nearly flat stays small."""
    flat = gray.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    scaled: Tensor = flat / (flat.norm(dim=1, keepdim=True) + 1e-3 * flat.shape[1] ** 0.5)
    return scaled
