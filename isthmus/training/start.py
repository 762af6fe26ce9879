"""Beginning with the weights of a trained model instead of random ones."""

from __future__ import annotations

from isthmus.errors import UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.loading import ModelLike, load_shared
from isthmus.model.recipe import Recipe


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
            f"{start} has another architecture: it cannot be the start of this training",
            hint="leave --recipe, --code and --set backbone… away to take its own",
        )
    model.load_state_dict(first)
