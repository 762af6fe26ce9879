"""The last step of training a codec: tables for its symbols, so that it can write files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from isthmus.codec.fit import FIRST_BAND_STEPS, fit_tables
from isthmus.images.array_format import to_batch
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

MAX_PICTURES = 400  # that are looked at; each gives a tile at most


def fit_codec_to_images(
    model: Autoencoder,
    images: ImageSet,
    *,
    steps: int = FIRST_BAND_STEPS,
    seed: int = 0,
    listener: Callable[[int, int], None] | None = None,
) -> None:
    """`fit_tables` to at most `MAX_PICTURES` of a set.

    Raises:
        CapabilityError: the model cannot compress.
        DataError: images of a kind that the model does not read.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:MAX_PICTURES]
    pictures = (_to_eight_bits(images.image(int(i))) for i in np.sort(chosen))
    fit_tables(model, pictures, steps=steps, seed=seed, listener=listener)


def _to_eight_bits(image: np.ndarray) -> np.ndarray:
    """Whatever a data set holds, as the 8 bits that a file will hold."""
    if image.dtype == np.uint8:
        return image
    batch, _ = to_batch(image, many=False)
    eight: np.ndarray = (batch[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return eight
