"""The readout for a model: its own, or one fitted to the images that it was trained on."""

from __future__ import annotations

import dataclasses

from isthmus.evaluation.training_data import training_images
from isthmus.features.readout import Readout, default_reading, fit_readout, stored
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder


def readout_for(
    model: Autoencoder, images: ImageSet, *, layer: str | None = None
) -> tuple[Readout, str | None]:
    """`(readout, note)`; the note says what it was fitted to, where the model held none.

    Args:
        images: fitted to these where the training images are not found.
        layer: read this layer, instead of what the model's own readout reads.

    Raises:
        UsageError: the model has no such layer.
    """
    own = stored(model)
    if own is not None and layer in (None, own.reading.layer):
        return own, None
    reading = default_reading(model)
    if layer is not None and layer != reading.layer:
        pool = () if layer == "code" else (1, 2)
        reading = dataclasses.replace(reading, layer=layer, rectify="none", pool=pool, power=1.0)
    training, _ = training_images(model)
    fitted = images if training is None else training
    where = "these images" if training is None else "its training images"
    return fit_readout(model, fitted, reading), f"features of layer {reading.layer}, scaled on {where}"
