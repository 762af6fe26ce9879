"""Which network restores: a shipped one by name, a model file, or a model in memory.

They run in float32: bfloat16 is faster where a CPU multiplies it, but costs a fiftieth of a decibel.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from isthmus import pretrained
from isthmus.errors import UsageError, nearest
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.file import load

Given = str | os.PathLike[str] | Autoencoder


def find(model: Given) -> Autoencoder:
    """The model that is meant: a file of that path, or else the shipped one of that name.

    Raises:
        UsageError: neither a file nor a shipped model.
        ModelFileError: the file is not a model.
    """
    if isinstance(model, Autoencoder):
        return model
    if Path(model).exists():
        return load(model)
    name = os.fspath(model)
    if name in pretrained.names():
        return _shipped(name)
    what = f"{name} is neither a model file nor a shipped model{nearest(name, pretrained.names())}"
    raise UsageError(what, hint="isthmus models")


@lru_cache(maxsize=4)
def _shipped(name: str) -> Autoencoder:
    return load(pretrained.path(name))
