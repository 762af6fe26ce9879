"""Images to show: as given, as the model saw them, and as it gave them back.

The demo's sections on a photograph: a file of it, and repairs, by the shipped models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.api.pages.compression_section import add_compression, decibels
from isthmus.evaluation.passes import iter_passes
from isthmus.images.named import sample_photo
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.masks import strokes
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Report
from isthmus.restoration.denoising import denoise_image
from isthmus.restoration.inpainting import inpaint_image

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
    rows = np.asarray(indices, dtype=np.int64)
    pictures: dict[int, tuple[Picture, Picture, Picture]] = {}
    for batch in iter_passes(model, images, corruption=model.recipe.corruption, seed=seed, only=rows):
        for row in np.flatnonzero(np.isin(batch.indices, rows)):
            pictures[int(batch.indices[row])] = (
                _picture(batch.images[row]),
                _picture(batch.corrupted[row]),
                _picture(batch.output[row]),
            )
    chosen = [pictures[int(index)] for index in rows]
    corrupted = not model.recipe.corruption.is_identity
    return Examples(
        names=tuple(images.names[int(index)] for index in rows),
        originals=[original for original, _, _ in chosen],
        inputs=[corrupted_input for _, corrupted_input, _ in chosen] if corrupted else None,
        outputs=[output for _, _, output in chosen],
    )


def _picture(image: Tensor) -> Picture:
    picture: Picture = image.permute(1, 2, 0).cpu().numpy()
    return picture


REPAIRED = "Repaired"
SIGMA, MAX_STROKE_PX = 25, 4


def add_sample_compression(report: Report) -> dict[str, Any]:
    """One photograph as a file, and as JPEG."""
    return add_compression(report, sample_photo(), None)


def add_repair(report: Report) -> dict[str, float]:
    """The photograph with noise, and with scratches, and both repaired; PSNR of each in dB."""
    photo = sample_photo()
    random = np.random.default_rng(0)
    noisy = (photo + random.normal(0, SIGMA, photo.shape)).clip(0, 255).round().astype(np.uint8)
    clean, _ = denoise_image(noisy)
    height, width = photo.shape[:2]
    hidden = strokes(1, height, width, MAX_STROKE_PX, torch.Generator().manual_seed(0), torch.device("cpu"))
    mask = hidden[0, 0].numpy()
    scratched = np.where(mask[..., None], np.uint8(255), photo)
    inpainted, _ = inpaint_image(scratched, mask)
    rows = {
        "noisy": (f"noise of standard deviation {SIGMA}", noisy),
        "denoised": ("denoised, its level estimated", clean),
        "scratched": ("scratched", scratched),
        "inpainted": ("inpainted", inpainted),
    }
    decibels_by_row = {name: round(decibels(pixels, photo), 2) for name, (_, pixels) in rows.items()}
    report.picture(
        REPAIRED,
        draw_image_rows(
            [(f"{title}: {decibels_by_row[name]:.1f} dB", [pixels]) for name, (title, pixels) in rows.items()]
        ),
        "Noise and scratches were added to a photograph that the shipped models were not trained on.",
        "Four pictures: noisy, denoised, scratched, inpainted.",
    )
    return decibels_by_row
