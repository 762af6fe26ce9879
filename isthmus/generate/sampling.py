"""`isthmus.generate`: new images from a prior over codes, of a class, or like a given image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from isthmus.errors import UsageError
from isthmus.generate.codes import check_generates, decoded
from isthmus.generate.prior import STEPS, Prior, class_index, draw, padded, prior_of
from isthmus.images.edge import to_batch
from isthmus.images.store import Pixels
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.file import load

STRENGTH = 0.4


@torch.no_grad()
def generate(
    model: Autoencoder | str,
    count: int = 16,
    *,
    prior: str | Prior | None = None,
    like: Any = None,
    strength: float = STRENGTH,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    steps: int = STEPS,
) -> Pixels:
    """Make new images.

    Args:
        model: a model or the path of its file, with a prior attached (`isthmus prior`).
        count: how many.
        prior: `normal`, `gaussian`, `mixture` or `flow`; by default the best one the model has.
        like: one image; the new ones are variations of it.
        strength: how far variations go: 0 repeats the image's reconstruction, 1 forgets it.
        label: only images of this class, where the prior was fitted with labels.
        size: `(H, W)` of the images; other than the training size where the code is a grid and the prior
            knows grids of any size (flow, normal).
        seed: the same seed gives the same images.
        temperature: factor on the prior's noise; below 1 more usual images, above 1 more unusual ones.
        steps: of the flow's integration.

    Returns:
        `(count, H, W, C)` uint8.

    Raises:
        CapabilityError: the model cannot generate.
        UsageError: no prior, no such class, an impossible size or number.
    """
    if not isinstance(model, Autoencoder):
        model = load(model)
    check_generates(model)
    if count < 1 or steps < 1 or temperature < 0 or not 0 <= strength <= 1:
        raise UsageError("count and steps are at least 1, temperature at least 0, strength from 0 to 1")
    chosen = prior_of(model, prior) if prior is None or isinstance(prior, str) else prior
    wanted = None if label is None else class_index(chosen, label)
    if like is not None:
        codes, size = _variations(model, chosen, like, count, strength, wanted, seed, steps)
    else:
        size = size or model.size
        shape = model.recipe.geometry.shape(padded(model, size))
        _check_shape(model, chosen, shape)
        codes = draw(chosen, shape, count, label=wanted, seed=seed, temperature=temperature, steps=steps)
    return as_pixels(decoded(model, codes, size))


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
    steps: int = STEPS,
) -> Tensor:
    """Codes near the given ones, as far from usual as they are: their noise is turned towards other noise.

    `strength` 0 gives the codes back, 1 others of the same parts of the prior.
    """
    parts = prior.parts_of(codes, label)
    noise = prior.to_noise(codes, parts, steps=steps)
    other = torch.randn(noise.shape, generator=generator)
    angle = strength * math.pi / 2
    return prior.from_noise(math.cos(angle) * noise + math.sin(angle) * other, parts, steps=steps)


def _variations(
    model: Autoencoder,
    prior: Prior,
    like: Any,
    count: int,
    strength: float,
    label: int | None,
    seed: int,
    steps: int,
) -> tuple[Tensor, tuple[int, int]]:
    batch, _ = to_batch(like)
    if len(batch) != 1:
        raise UsageError(f"variations are made of one image, not of {len(batch)}")
    if batch.shape[1] != model.channels:
        raise UsageError(f"the image has {batch.shape[1]} channels and the model reads {model.channels}")
    size = (batch.shape[-2], batch.shape[-1])
    code = model.encode_batch(batch.to(next(model.parameters()).device)).cpu()
    _check_shape(model, prior, tuple(code.shape[1:]))
    repeated = code.expand(count, *code.shape[1:])
    generator = torch.Generator().manual_seed(seed)
    return varied(prior, repeated, strength=strength, generator=generator, label=label, steps=steps), size


def _check_shape(model: Autoencoder, prior: Prior, shape: tuple[int, ...]) -> None:
    own = prior.stored()[1].get("shape")
    if own is None or (prior.kind == "flow" and len(shape) == 3):
        return
    if tuple(own) != shape:
        raise UsageError(
            f"this {prior.kind} prior draws codes {tuple(own)}, and images of that size have {shape}",
            hint="isthmus prior MODEL TRAINING-DATA --kind flow" if model.recipe.geometry.is_grid else None,
        )
