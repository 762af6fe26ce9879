"""Paths between images: straight or round in the code, or kept where the prior has its mass."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from isthmus.errors import UsageError, nearest
from isthmus.generation.codes import check_generates, code_of, decoded
from isthmus.generation.prior import STEPS, Prior, prior_of
from isthmus.generation.sampling import as_pixels
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited

Path = Literal["linear", "spherical", "prior"]
PATHS: tuple[str, ...] = ("linear", "spherical", "prior")


@limited()
def interpolate(
    model: Autoencoder,
    images: Sequence[Any],
    *,
    frames: int = 9,
    path: str = "linear",
    prior: str | Prior | None = None,
    steps: int = STEPS,
) -> Pixels:
    """Images on a path through the codes of two or more given ones.

    Args:
        images: two or more single images of one size, of any kind that `encode` takes.
        frames: on each piece of the path, both ends counted.
        path: `linear`; `spherical` (Shoemake 1985), which keeps the codes' length; or `prior`: the straight
            line, each point drawn back to where the prior has its mass.
        prior: for that path; by default the best that the model has.

    Returns:
        `(F, H, W, C)` uint8, F = pieces · (frames − 1) + 1.

    Raises:
        UsageError: fewer than two images or frames, mixed sizes, another path, or no prior.
        CapabilityError: the model cannot generate.
    """
    if path not in PATHS:
        raise UsageError(f"path '{path}' is not known{nearest(path, PATHS)}")
    if len(images) < 2 or frames < 2:
        raise UsageError("a path needs at least two images and two frames")
    check_generates(model)
    given = [code_of(model, image) for image in images]
    sizes = {(image.shape[-2], image.shape[-1]) for image, _ in given}
    if len(sizes) != 1:
        raise UsageError("the images of a path must be of one size")
    size = sizes.pop()
    codes = torch.cat([code for _, code in given])
    chosen = None
    if path == "prior":
        chosen = prior_of(model, prior) if prior is None or isinstance(prior, str) else prior
    points = code_path(codes, frames, spherical=path == "spherical")
    if chosen is not None:
        points = drawn_back(chosen, points, codes, steps=steps)
    return as_pixels(decoded(model, points, size))


def code_path(codes: Tensor, frames: int, *, spherical: bool = False) -> Tensor:
    """`(K, …)` codes → `(F, …)` points on the path through them, `frames` to each piece, ends shared."""
    shares = torch.linspace(0, 1, frames)
    points = [codes[:1]]
    for start, end in itertools.pairwise(codes):
        piece = [(_slerp if spherical else torch.lerp)(start, end, share) for share in shares[1:]]
        points.append(torch.stack(piece))
    return torch.cat(points)


def drawn_back(prior: Prior, points: Tensor, ends: Tensor, *, steps: int = STEPS) -> Tensor:
    """Points of a path with the noise that makes them no longer than that of the path's ends.

    Between two likely codes a straight line crosses places where there are none. There the prior would need
    unusual noise; shortened to the usual length it leads to a likely code nearby.
    """
    longest = prior.to_noise(ends, prior.parts_of(ends), steps=steps).flatten(1).norm(dim=1).max()
    parts = prior.parts_of(points)
    noise = prior.to_noise(points, parts, steps=steps)
    length = noise.flatten(1).norm(dim=1).clamp_min(1e-6)
    usual = torch.minimum(longest, torch.tensor(float(noise[0].numel())).sqrt())
    factor = (torch.minimum(length, usual) / length).view(-1, *(1,) * (noise.ndim - 1))
    result = prior.from_noise(noise * factor, parts, steps=steps)
    result[0], result[-1] = points[0], points[-1]
    return result


def _slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    a, b = start.flatten(), end.flatten()
    cosine = torch.dot(a, b) / (a.norm() * b.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if float(angle.sin()) < 1e-4:  # nearly one direction, or opposite ones: there is no arc to take
        return torch.lerp(start, end, share)
    near, far = torch.sin((1 - share) * angle), torch.sin(share * angle)
    # Directions along the arc, lengths in between.
    direction = near * start / a.norm() + far * end / b.norm()
    result: Tensor = direction / angle.sin() * torch.lerp(a.norm(), b.norm(), share)
    return result
