"""First weights that are not random: those of a trained model; or, for few steps, what the images suggest."""

from __future__ import annotations

import numpy as np
import torch

from isthmus.errors import Hint, UsageError
from isthmus.images.batches import iter_batches
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.initialisation import init_code_projection
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.recipe import Recipe
from isthmus.training.choose import Frame


def recipe_from(start: ModelLike | None) -> str | Recipe:
    """The recipe where none is asked for: that of the model to begin with, else `conv`.

    Raises:
        ModelFileError: missing or damaged.
    """
    return "conv" if start is None else load_shared(start).recipe


def begin_with(model: Autoencoder, start: ModelLike) -> None:
    """Give `model` the weights of another.

    Raises:
        ModelFileError: missing or damaged.
        UsageError: of another architecture.
    """
    first, own = load_shared(start).state_dict(), model.state_dict()
    differing = [k for k in own if k not in first or first[k].shape != own[k].shape]
    if differing or len(first) != len(own):
        raise UsageError(
            "{start} has another architecture: it cannot be the start of this training",
            id="training.other-architecture",
            hint=Hint("leave recipe, code and settings of the backbone away to take its own"),
            start=start,
        )
    model.load_state_dict(first)


def init_short(model: Autoencoder, images: ImageSet, chosen: Frame) -> list[str]:
    """Let a short training of a plain vector code begin with the images' main components; says so if it does.

    Longer trainings find them by themselves, and begin with random directions.
    """
    recipe = chosen.recipe
    fits = recipe.bottleneck.may_start_at_components and recipe.optimiser.is_adaptive
    if not fits or model.encoder.projection is None:
        return []
    some = images.subset(np.linspace(0, len(images) - 1, min(len(images), 256)).astype(int))
    crop = chosen.size if chosen.crop else None
    pixels = torch.cat([batch.images for batch in iter_batches(some, batch=64, crop=crop)])
    init_code_projection(model, pixels.to(next(model.parameters()).device))
    return [
        Message(
            "a short training: the code starts at the principal components of the encoder's features",
            id="choice.short",
        )
    ]
