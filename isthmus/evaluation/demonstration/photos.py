"""The demo's sections on a photograph: a file of it, and repairs, by the shipped models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from isthmus.evaluation.drawing.pictures import before_after
from isthmus.evaluation.report.compression import add_compression, decibels
from isthmus.images.photo import PHOTO, sample_photo
from isthmus.model.masks import strokes
from isthmus.restoration.denoising import denoise_image
from isthmus.restoration.inpainting import inpaint_image

if TYPE_CHECKING:
    from isthmus.evaluation.demonstration.demo import Demo

REPAIRED = "Repaired"
SIGMA, THICKEST = 25, 4


def compression(demo: Demo) -> None:
    """One photograph as a file, beside JPEG."""
    demo.say("compressing a photograph with the shipped model")
    demo.numbers["compressed"] = add_compression(demo.report, sample_photo(), None)
    demo.next_commands.append(["compress", PHOTO.as_posix(), "-o", demo.folder.as_posix(), "--quality", "25"])


def repair(demo: Demo) -> None:
    """The photograph with noise, and with scratches, and what the shipped models make of both."""
    demo.say("repairing a photograph with the shipped models")
    photo = sample_photo()
    random = np.random.default_rng(0)
    noisy = (photo + random.normal(0, SIGMA, photo.shape)).clip(0, 255).round().astype(np.uint8)
    clean, _ = denoise_image(noisy)
    height, width = photo.shape[:2]
    hidden = strokes(1, height, width, THICKEST, torch.Generator().manual_seed(0), torch.device("cpu"))
    mask = hidden[0, 0].numpy()
    scratched = np.where(mask[..., None], np.uint8(255), photo)
    whole = inpaint_image(scratched, mask)
    rows = {
        "noisy": (f"noise of standard deviation {SIGMA}", noisy),
        "denoised": ("denoised, its level estimated", clean),
        "scratched": ("scratched", scratched),
        "inpainted": ("inpainted", whole),
    }
    found = {name: round(decibels(pixels, photo), 2) for name, (_, pixels) in rows.items()}
    demo.report.picture(
        REPAIRED,
        before_after(
            [(f"{title}: {found[name]:.1f} dB", [pixels]) for name, (title, pixels) in rows.items()]
        ),
        "Noise and scratches were added to a photograph that the shipped models were not trained on.",
        "Four pictures: noisy, denoised, scratched, inpainted.",
    )
    demo.numbers["repaired"] = found
