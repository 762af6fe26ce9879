"""Which model a file is made or read with: one that is given, or the one that comes with isthmus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.model.loading import ModelLike, load_shared

if TYPE_CHECKING:
    from isthmus.codec.ready import Codec

SHIPPED = "photo-codec"


def codec_for(model: ModelLike | None) -> Codec:
    """A model, a model file or the name of a shipped model (None: `photo-codec`), ready to code.

    Raises:
        ModelFileError: missing or damaged.
        UsageError: no shipped model has this name.
        CapabilityError: it cannot compress.
    """
    from isthmus.codec.ready import make_codec

    return make_codec(load_shared(SHIPPED if model is None else model))
