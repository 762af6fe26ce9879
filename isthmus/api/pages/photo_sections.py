"""The demo's sections on a photograph: a file of it, and repairs, by the shipped models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from isthmus.api.pages.compression_section import add_compression, decibels
from isthmus.images.named import sample_photo
from isthmus.model.masks import strokes
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Report
from isthmus.restoration.denoising import denoise_image
from isthmus.restoration.inpainting import inpaint_image

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
    whole, _ = inpaint_image(scratched, mask)
    rows = {
        "noisy": (f"noise of standard deviation {SIGMA}", noisy),
        "denoised": ("denoised, its level estimated", clean),
        "scratched": ("scratched", scratched),
        "inpainted": ("inpainted", whole),
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
