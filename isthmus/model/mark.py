"""A hash of what a model computes, by which results name the model they were made with."""

from __future__ import annotations

import hashlib

import torch

from isthmus.model import stored_names
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.axes import AXES


def mark_of(model: Autoencoder, *, decoder: bool = True) -> str:
    """32 hex digits of recipe and weights, without attachments.

    They are taken over the names that files hold: a name that changes in the code changes no mark, nor does a
    new setting at its default.

    Args:
        decoder: off: only what codes and features depend on.
    """
    recipe = model.recipe
    defaults = {axis: type(getattr(recipe, axis))().to_dict() for axis in AXES}
    hashed = stored_names.hashed_recipe(recipe.to_dict(), defaults)
    digest = hashlib.blake2b(repr(hashed).encode(), digest_size=16)
    for name, tensor in sorted(stored_names.stored_tensors(model.state_dict()).items()):
        if decoder or not name.startswith("decoder."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
