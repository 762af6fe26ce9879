"""Paths between images: straight or round in the code, or kept where the prior has its mass."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from isthmus.generation.codes import decode_codes, encode_image
from isthmus.generation.prior import STEPS, Prior
from isthmus.generation.sampling import to_pixels
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited


@limited()
def interpolate_images(
    model: Autoencoder,
    images: Sequence[Pixels],
    *,
    frames: int,
    spherical: bool = False,
    prior: Prior | None = None,
    steps: int = STEPS,
) -> Pixels:
    """Images on a path through the codes of given ones; see `isthmus.interpolate`.

    Args:
        images: `(H, W, C)` of one size, with the model's channels.
        frames: on each piece of the path, both ends counted.
        spherical: on arcs (Shoemake 1985), which keep the codes' length, instead of straight lines.
        prior: each point is drawn back to where it has its mass.

    Returns:
        `(F, H, W, C)` uint8, F = pieces · (frames − 1) + 1.
    """
    given = [encode_image(model, image) for image in images]
    codes = torch.cat([code for _, code in given])
    points = code_path(codes, frames, spherical=spherical)
    if prior is not None:
        points = pull_to_prior(prior, points, codes, steps=steps)
    height, width = given[0][0].shape[-2:]
    return to_pixels(decode_codes(model, points, (height, width)))


def code_path(codes: Tensor, frames: int, *, spherical: bool = False) -> Tensor:
    """`(K, …)` codes → `(F, …)` points on the path through them, `frames` to each piece, ends shared."""
    shares = torch.linspace(0, 1, frames)
    points = [codes[:1]]
    for start, end in itertools.pairwise(codes):
        piece = [(_slerp if spherical else torch.lerp)(start, end, share) for share in shares[1:]]
        points.append(torch.stack(piece))
    return torch.cat(points)


def pull_to_prior(prior: Prior, points: Tensor, ends: Tensor, *, steps: int = STEPS) -> Tensor:
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
