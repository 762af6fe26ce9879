"""Small models and small images that the tests of this folder share."""

from __future__ import annotations

import torch
from torch import Tensor

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES
from isthmus.model.trace import Corrupted, Latent, Trace

# What makes a named recipe small enough to be built and trained many times over.
NARROW: dict[str, tuple[str, ...]] = {
    "dense": ("backbone.width=24",),
    "conv": ("backbone.width=8", "backbone.blocks=1"),
    "stacked": ("backbone.width=8-8", "backbone.decoder=auto"),
    "recurrent": ("backbone.width=16",),
    "attention": ("backbone.width=16", "backbone.depth=1", "backbone.heads=2"),
    "filters": ("backbone.side=5",),
    "unet": ("backbone.width=4-4",),
    "components": ("backbone.width=4-8", "backbone.blocks=1", "backbone.stem=2"),
}
CRITIC = {"on-codes": "critic.width=16", "on-images": "critic.width=4"}


def narrow(recipe: Recipe, code: str | None = None) -> Recipe:
    """The same point of the product space with thin networks."""
    settings = list(NARROW[recipe.backbone.kind])
    if recipe.critic.kind in CRITIC:
        settings.append(CRITIC[recipe.critic.kind])
    if isinstance(recipe.bottleneck, axes.TopK):
        settings.append("bottleneck.k=3")
    vector = "8@4" if recipe.backbone.has_skips else "8"
    code_shape = code or (vector if recipe.code == "auto" or recipe.code.isdigit() else recipe.code)
    return recipe.with_settings([*settings, f"code={code_shape}"])


def small(name: str, code: str | None = None) -> Recipe:
    """A named recipe, narrow."""
    return narrow(RECIPES[name](), code)


def model_of(
    recipe: Recipe, size: tuple[int, int] = (12, 12), channels: int = 1, seed: int = 0
) -> Autoencoder:
    return build(recipe, channels=channels, size=size, seed=seed)


def pictures(count: int, size: tuple[int, int] = (12, 12), channels: int = 1, seed: int = 0) -> Tensor:
    """`(N, C, H, W)` smooth random images in (0, 1)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear").clamp(0.01, 0.99)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trace_of(
    model: Autoencoder,
    output: Tensor,
    target: Tensor,
    *,
    raw: Tensor | None = None,
    weight: Tensor | None = None,
    code: Latent | None = None,
) -> Trace:
    """A trace with chosen numbers, for terms that are tested against an oracle."""
    corrupted = Corrupted(target, target, weight)
    latent = code if code is not None else Latent(torch.zeros(len(output), 1))
    return Trace(target, corrupted, latent, output if raw is None else raw, output, model, generator())
