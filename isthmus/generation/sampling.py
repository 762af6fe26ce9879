"""New images from a prior over codes, of a class, or like a given image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import DataError, Hint, UsageError
from isthmus.generation.codes import check_generates, code_of, iter_decoded
from isthmus.generation.prior import STEPS, Prior, class_index, iter_drawn, padded
from isthmus.images.cache import memory_bytes
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.footprint import check_memory
from isthmus.threads import limited
from isthmus.wording import format_count

_BATCH = {1: 2048, 3: 64}  # codes that are drawn together, by their number of axes
_BYTES = 10  # of memory for each number of an image: floats, what they are rounded from, and the result


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
    wanted = None if label is None else class_index(prior, label)
    if like is not None:
        image, code = code_of(model, like)
        size = (image.shape[-2], image.shape[-1])
        _check_room(model, count, size)
        _check_shape(model, prior, tuple(code.shape[1:]))
        near = varied(
            prior, code.expand(count, *code.shape[1:]), strength=strength,
            generator=torch.Generator().manual_seed(seed), label=wanted, temperature=temperature, steps=steps,
        )  # fmt: skip
        drawn = iter((near,))
    else:
        size = size or model.size
        _check_room(model, count, size)
        shape = model.recipe.geometry.shape(padded(model, size))
        _check_shape(model, prior, shape)
        batch = _BATCH[len(shape)]
        drawn = iter_drawn(
            prior, shape, count, batch=batch, label=wanted, seed=seed, temperature=temperature, steps=steps
        )
    for codes in drawn:
        for part in iter_decoded(model, codes, size):
            yield as_pixels(part)


def as_pixels(images: Tensor) -> Pixels:
    """`(N, C, H, W)` in [0, 1] → `(N, H, W, C)` uint8."""
    levels = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).numpy())


def varied(
    prior: Prior,
    codes: Tensor,
    *,
    strength: float,
    generator: torch.Generator,
    label: int | None = None,
    temperature: float = 1.0,
    steps: int = STEPS,
) -> Tensor:
    """Codes near the given ones, as far from usual as they are: their noise is turned towards other noise.

    `strength` 0 gives the codes back, 1 others of the same parts of the prior. `temperature` is a factor on
    the other noise.
    """
    parts = prior.parts_of(codes, label)
    noise = prior.to_noise(codes, parts, steps=steps)
    other = torch.randn(noise.shape, generator=generator) * temperature
    angle = strength * math.pi / 2
    return prior.from_noise(math.cos(angle) * noise + math.sin(angle) * other, parts, steps=steps)


def _check_room(model: Autoencoder, count: int, size: tuple[int, int]) -> None:
    shape = (1, model.channels, *size)
    check_memory(model.recipe.backbone, model.recipe.geometry, shape)
    needed = count * math.prod(shape) * _BYTES
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
    own = prior.stored()[1].get("shape")
    if own is None or (prior.kind == "flow" and len(shape) == 3):
        return
    if tuple(own) != shape:
        raise UsageError(
            "this {prior} prior draws codes {given}, and images of that size have {expected}",
            id="prior.other-size",
            hint=Hint.call("fit_prior", "MODEL", "TRAINING-DATA", kind="flow")
            if model.recipe.geometry.is_grid
            else None,
            prior=prior.kind,
            given=tuple(own),
            expected=shape,
        )
