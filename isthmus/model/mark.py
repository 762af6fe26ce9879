"""A name for what a model computes, so that what was made with it can say so."""

from __future__ import annotations

import hashlib

import torch

from isthmus.model.autoencoder import Autoencoder


def mark_of(model: Autoencoder, *, decoder: bool = True) -> str:
    """32 hex digits for recipe and weights, not for what is attached.

    Args:
        decoder: off: only what codes and features depend on.
    """
    digest = hashlib.blake2b(repr(model.recipe.to_dict()).encode(), digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if decoder or not name.startswith("decoder."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
