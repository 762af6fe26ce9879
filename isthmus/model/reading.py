"""Images for a model: whatever holds them, with the number of channels that the model reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from isthmus.errors import DataError
from isthmus.images.conform import conform
from isthmus.images.reading import read_expected
from isthmus.images.sample_range import Range
from isthmus.images.store import ImageSet
from isthmus.messages import Message
from isthmus.model.autoencoder import Autoencoder


def read_for(model: Autoencoder, data: Any, *, range: Range | None = None) -> ImageSet:
    """Images with the model's number of channels; gray is repeated for a colour model.

    Args:
        range: the samples that stand for black and white, see `isthmus.read`.

    Raises:
        DataError: unreadable, or colour images for a gray model: gray would no longer be the images as given.
    """
    return _with_channels(read_expected(data, model.channels, range=range), model.channels)


def read_targets_for(model: Autoencoder, data: Any, *, range: Range | None = None) -> ImageSet:
    """As `read_for`, with the number of channels of the images that the model gives."""
    channels = model.output_channels
    return _with_channels(read_expected(data, channels, range=range), channels)


def _with_channels(images: ImageSet, channels: int) -> ImageSet:
    if images.channels == channels:
        return images
    if images.channels == 1 and channels == 3:
        note = Message(
            "the images are gray and the model reads colour: gray is repeated in all channels",
            id="reading.gray-repeated",
        )
        return replace(conform(images, size=None, channels=3), notes=(*images.notes, note))
    kinds = {1: "gray", 3: "RGB"}
    wants, has = (kinds.get(n, f"{n}-channel") for n in (channels, images.channels))
    raise DataError(
        "{source} has {given} images and the model reads {expected} ones",
        id="model.channels",
        hint="a model trained on images of this kind, or gray copies of them for a gray model",
        source=images.source,
        given=has,
        expected=wants,
    )
