"""Beginning with the weights of a trained model instead of random ones."""

from __future__ import annotations

import os

from isthmus import pretrained
from isthmus.errors import UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.file import load
from isthmus.model.recipe import Recipe

Start = str | os.PathLike[str]


def recipe_from(start: Start | None) -> str | Recipe:
    """The recipe where none is asked for: that of the model to begin with, else `conv`.

    Raises:
        ModelFileError: missing or damaged.
    """
    return "conv" if start is None else load(pretrained.found(start)).recipe


def begin_with(model: Autoencoder, start: Start) -> None:
    """Give `model` the weights of another.

    Raises:
        ModelFileError: missing or damaged.
        UsageError: of another architecture.
    """
    first, own = load(pretrained.found(start)).state_dict(), model.state_dict()
    differing = [k for k in own if k not in first or first[k].shape != own[k].shape]
    if differing or len(first) != len(own):
        raise UsageError(
            f"{start} has another architecture: it cannot be the start of this training",
            hint="leave --recipe, --code and --set backbone… away to take its own",
        )
    model.load_state_dict(first)
