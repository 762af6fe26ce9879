"""The part of a report about files: one image, its size as a file, and JPEG for comparison."""

from __future__ import annotations

import bisect
import io
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from isthmus.codec import container
from isthmus.codec.decoding import decode_picture
from isthmus.codec.models import codec_for
from isthmus.codec.picture import read_picture
from isthmus.codec.rate_control import encode_picture
from isthmus.errors import CapabilityError
from isthmus.metrics.pixel_metrics import psnr
from isthmus.model.autoencoder import Autoencoder
from isthmus.reports.charts import draw_curves
from isthmus.reports.image_sheets import draw_image_rows
from isthmus.reports.page import Report

SECTION = "Compressed"
LARGEST = 512  # pixels a side of what is shown of a larger image
QUALITIES = (5, 25, 50, 75, 95)
SHOWN_QUALITY = 25
CLASSICAL: dict[str, dict[str, Any]] = {
    "JPEG": {"format": "JPEG", "optimize": True, "subsampling": "4:2:0"},
    "WebP": {"format": "WEBP", "method": 6},
}
_CLASSICAL_QUALITIES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class File:
    """One coded image: `pixels` are what comes back."""

    size: int
    psnr: float
    pixels: Pixels


def coded(image: Pixels, quality: float, model: Autoencoder | None) -> File:
    """Through a `.isth` file at a quality from 1 to 100."""
    codec = codec_for(model)
    data = encode_picture(read_picture(image), codec, quality=quality).data
    return _file(image, data, decode_picture(container.read_container(data), codec).picture.array())


def classical(image: Pixels, coder: str, quality: int) -> File:
    """Through JPEG or WebP, as `CLASSICAL` sets them."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image).save(stream, quality=quality, **CLASSICAL[coder])
    with Image.open(stream) as picture:
        pixels = np.asarray(picture.convert("RGB" if image.ndim == 3 else "L"))
    return _file(image, stream.getvalue(), pixels)


def largest_jpeg(image: Pixels, size: int) -> File:
    """The JPEG of the highest quality in at most `size` bytes, or the smallest there is."""
    files = cache(lambda quality: classical(image, "JPEG", quality))
    fitting = bisect.bisect_right(range(1, 96), size, key=lambda quality: files(quality).size)
    return files(max(1, fitting))


def add_own_compression(report: Report, image: npt.NDArray[Any], model: Autoencoder) -> None:
    """`add_compression` of the middle of an image `(H, W, C)`, if the model makes files of its kind."""
    if image.dtype != np.uint8:
        return
    try:
        codec_for(model)
    except CapabilityError:
        return
    top, left = (max(0, side - LARGEST) // 2 for side in image.shape[:2])
    middle = image[top : top + LARGEST, left : left + LARGEST]
    add_compression(report, middle[..., 0] if middle.shape[2] == 1 else middle, model)


def add_compression(report: Report, image: Pixels, model: Autoencoder | None) -> dict[str, Any]:
    """The image, its file, JPEG of at most the same size (or its smallest), and quality against size.

    Args:
        image: uint8 `(H, W)` gray or `(H, W, 3)`.
        model: a codec, or None for the shipped one.

    Returns:
        Bytes and PSNR of the file that is shown and of the JPEG, as JSON values.

    Raises:
        CapabilityError: the model cannot compress.
    """
    own_files = {quality: coded(image, quality, model) for quality in QUALITIES}
    classical_files = {
        coder: [classical(image, coder, quality) for quality in _CLASSICAL_QUALITIES] for coder in CLASSICAL
    }
    own_file = own_files[SHOWN_QUALITY]
    rival = largest_jpeg(image, own_file.size)
    report.picture(
        SECTION,
        draw_image_rows(
            [
                (f"given: {image.size:,} bytes as pixels", [image]),
                (f"Isthmus, quality {SHOWN_QUALITY}: {_format_file(own_file)}", [own_file.pixels]),
                (f"JPEG: {_format_file(rival)}", [rival.pixels]),
            ]
        ),
        "Whole files, headers included. JPEG is the best one that is no larger, or its smallest.",
        "Three pictures: the given one, after Isthmus' file, and after a JPEG of about that size.",
    )
    pixels = image.shape[0] * image.shape[1]
    series = {"Isthmus": list(own_files.values()), **classical_files}
    report.picture(
        SECTION,
        draw_curves(
            {name: [(8 * file.size / pixels, file.psnr) for file in files] for name, files in series.items()},
            x_label="bits per pixel, whole file",
            y_label="PSNR, dB",
        ),
        "This one image at several qualities; higher and further left is better.",
        "Curves of PSNR against bits per pixel.",
    )
    return {
        "bytes": own_file.size,
        "psnr": round(own_file.psnr, 2),
        "jpeg_bytes": rival.size,
        "jpeg_psnr": round(rival.psnr, 2),
    }


def _format_file(file: File) -> str:
    return f"{file.size:,} bytes, {file.psnr:.1f} dB"


def _file(image: Pixels, data: bytes, pixels: Pixels) -> File:
    return File(len(data), decibels(pixels, image), pixels)


def decibels(pixels: Pixels, image: Pixels) -> float:
    """PSNR of two uint8 images of one shape, at most 100."""
    output, reference = (
        torch.from_numpy(array.reshape(1, 1, len(array), -1).astype(np.float64) / 255)
        for array in (pixels, image)
    )
    return float(psnr(output, reference, at_most=100))
