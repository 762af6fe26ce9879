"""New images from a prior over codes, of a class, or like a given image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, UsageError
from isthmus.generation.codes import check_generates, decode_codes, encode_image, iter_decoded
from isthmus.generation.flow import Flow
from isthmus.generation.prior import STEPS, Prior, class_index, iter_drawn, pad_size
from isthmus.images.cache import memory_bytes
from isthmus.images.store import Pixels
from isthmus.model.allocation import check_memory
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.wording import format_count

_BATCH = {1: 2048, 3: 64}  # codes that are drawn together, by their number of axes

_BYTES_PER_NUMBER = (
    10  # of memory for each number of an image: floats, what they are rounded from, and the result
)


@limited()
def sample_images(model: Autoencoder, prior: Prior, count: int, **options: Any) -> Pixels:
    """`(count, H, W, C)` uint8: all that `iter_samples` makes; it has the options and errors."""
    return np.concatenate(list(iter_samples(model, prior, count, **options)))


@torch.no_grad()
def iter_samples(
    model: Autoencoder,
    prior: Prior,
    count: int,
    *,
    like: Any = None,
    strength: float = 1.0,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    steps: int = STEPS,
    guidance: float = 1.0,
) -> Iterator[Pixels]:
    """Draw new images from a prior, or vary one, in batches; see `isthmus.generate`.

    Yields:
        `(n, H, W, C)` uint8, `count` images in all.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: no such class, an impossible size or number, a size with `like`.
        DataError: more than this machine's memory would hold.
    """
    check_generates(model)
    if count < 1 or steps < 1 or not 0 <= temperature < math.inf or not 0 <= strength <= 1:
        raise UsageError(
            "count and steps are at least 1, temperature at least 0, strength from 0 to 1",
            id="generation.counts",
        )
    if like is not None and size is not None:
        raise UsageError(
            "variations have the size of their image: leave out either size or like",
            id="option.size-and-like",
        )
    prior = guide_prior(prior, guidance, flow_helps=model.recipe.backbone.wants_prior)
    class_number = None if label is None else class_index(prior, label)
    if like is not None:
        image, code = encode_image(model, like)
        size = (image.shape[-2], image.shape[-1])
        _check_memory(model, count, size)
        _check_shape(model, prior, tuple(code.shape[1:]))
        codes = code.expand(count, *code.shape[1:])
        parts = prior.parts_of(codes, class_number)
        noise = prior.to_noise(codes, parts, steps=steps)
        other = torch.randn(noise.shape, generator=torch.Generator().manual_seed(seed)) * temperature
        angle = strength * math.pi / 2  # the codes' noise is turned towards other noise of that length
        noise = math.cos(angle) * noise + math.sin(angle) * other
        near = prior.from_noise(noise, parts, steps=steps)
        drawn = iter((near,))
    else:
        size = size or model.size
        _check_memory(model, count, size)
        shape = model.recipe.geometry.shape(pad_size(model, size))
        _check_shape(model, prior, shape)
        batch = _BATCH[len(shape)]
        drawn = iter_drawn(
            prior,
            shape,
            count,
            batch=batch,
            label=class_number,
            seed=seed,
            temperature=temperature,
            steps=steps,
        )
    for number, codes in enumerate(drawn):
        for part in iter_decoded(model, codes, size, seed=seed + number):
            yield to_pixels(part)


def guide_prior(prior: Prior, guidance: float, *, flow_helps: bool = False) -> Prior:
    """The prior with its class (or component) pronounced by a factor; 1 leaves it as it is.

    Args:
        flow_helps: a flow of this model can be guided, which the error then suggests.

    Raises:
        UsageError: a prior that was not trained without its classes too, or no such factor.
    """
    if not 0 <= guidance < math.inf:
        raise UsageError(
            "guidance={guidance:g}: expected a finite number of at least 0",
            id="option.guidance",
            guidance=guidance,
        )
    if guidance == 1.0:
        return prior
    if not isinstance(prior, Flow) or not prior.can_be_guided:
        raise UsageError(
            "this {prior} prior cannot be guided: an attention prior and the flow of a generative model can",
            id="prior.not-guided",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA", kind="flow") if flow_helps else None,
            prior=prior.kind,
        )
    return replace(prior, guidance=guidance)


def to_pixels(images: Tensor) -> Pixels:
    """`(N, C, H, W)` in [0, 1] → `(N, H, W, C)` uint8."""
    levels = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy())


def _check_memory(model: Autoencoder, count: int, size: tuple[int, int]) -> None:
    shape = (1, model.channels, *size)
    check_memory(model.recipe.backbone, model.recipe.geometry, shape)
    needed = count * math.prod(shape) * _BYTES_PER_NUMBER
    if needed > memory_bytes():
        raise DataError(
            "{images} of {height}×{width} pixels at once would take about {gib:,.0f} GiB: ask for "
            "fewer, with another seed for others",
            id="generation.too-large",
            images=format_count(count, "image"),
            height=size[0],
            width=size[1],
            gib=needed / 2**30,
        )


def _check_shape(model: Autoencoder, prior: Prior, shape: tuple[int, ...]) -> None:
    own = prior.state()[1].get("shape")
    if own is None or (prior.kind == "flow" and len(shape) == 3):  # a flow over grids takes any size
        return
    if tuple(own) != shape:
        raise UsageError(
            "this {prior} prior draws codes of shape {given}, but images of that size need {expected}",
            id="prior.other-size",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA", kind="flow")
            if model.recipe.geometry.is_grid
            else None,
            prior=prior.kind,
            given=tuple(own),
            expected=shape,
        )


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
