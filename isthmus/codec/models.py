"""Which model a file is made or read with: one that is given, or one that comes with isthmus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus import pretrained
from isthmus.model.loading import ModelLike, load_shared

if TYPE_CHECKING:
    from isthmus.codec.container import ContainerHeader
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


def codec_that_opens(header: ContainerHeader, codec: Codec | None) -> Codec:
    """The codec to open a file with: the given one, or the shipped one that the file was made with.

    Every codec that was ever shipped stays, so files of earlier versions open without naming it. Of a file
    that none of them made, it is the given one or the default, which `decoding.check_model` then refuses.
    """
    if codec is not None and codec.fingerprint == header.model:
        return codec
    maker = pretrained.codecs().get(header.model.hex())
    return codec_for(maker) if maker is not None else codec or codec_for(None)
