"""Which model a file is made or read with: one that is given, or the one that comes with isthmus."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import ModelFileError

if TYPE_CHECKING:
    from isthmus.codec.ready import Codec
    from isthmus.model.autoencoder import Autoencoder

SHIPPED = "photo-codec.safetensors"


def codec_for(model: Autoencoder | str | os.PathLike[str] | None) -> Codec:
    """A model, a model file, or (None) the shipped one, ready to code.

    Raises:
        ModelFileError: missing or damaged.
        CapabilityError: it cannot compress.
    """
    from isthmus.codec.ready import ready

    if model is None:
        return _shipped()
    if isinstance(model, (str, os.PathLike)):
        from isthmus.model.file import load

        return ready(load(model))
    return ready(model)


@cache
def _shipped() -> Codec:
    from isthmus.codec.ready import ready
    from isthmus.model.file import load

    return ready(load(shipped_path()))


def shipped_path() -> Path:
    """Where the shipped model of photos is.

    Raises:
        ModelFileError: this installation has none.
    """
    path = Path(str(resources.files("isthmus"))) / "pretrained" / SHIPPED
    if not path.is_file():
        raise ModelFileError(
            "this installation comes without a model of photos; give one with --model",
            hint="isthmus train PHOTOS --recipe codec -o codec.safetensors",
        )
    return path
