"""Images to show: as given, as the model saw them, and as it gave them back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from isthmus.evaluation.passes import iter_passes
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder

Picture = npt.NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """`(H, W, C)` float images of equal number; `inputs` is None for a recipe without a corruption."""

    names: tuple[str, ...]
    originals: list[Picture]
    inputs: list[Picture] | None
    outputs: list[Picture]


def examples(model: Autoencoder, images: ImageSet, indices: Sequence[int], *, seed: int) -> Examples:
    """The chosen images, in that order, exactly as `evaluate` with the same images and seed met them."""
    wanted = np.asarray(indices, dtype=np.int64)
    pictures: dict[int, tuple[Picture, Picture, Picture]] = {}
    for one in iter_passes(model, images, corruption=model.recipe.corruption, seed=seed, only=wanted):
        for row in np.flatnonzero(np.isin(one.indices, wanted)):
            pictures[int(one.indices[row])] = (
                _picture(one.images[row]),
                _picture(one.corrupted[row]),
                _picture(one.output[row]),
            )
    chosen = [pictures[int(index)] for index in wanted]
    corrupted = not model.recipe.corruption.is_identity
    return Examples(
        names=tuple(images.names[int(index)] for index in wanted),
        originals=[original for original, _, _ in chosen],
        inputs=[corrupted_input for _, corrupted_input, _ in chosen] if corrupted else None,
        outputs=[output for _, _, output in chosen],
    )


def _picture(image: Tensor) -> Picture:
    picture: Picture = image.permute(1, 2, 0).cpu().numpy()
    return picture
