"""Repair: remove noise from an image, and fill pixels that were painted over."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from isthmus.errors import DataError
from isthmus.web.jobs import Job
from isthmus.web.page import Page
from isthmus.web.request import Request

MAX_SIGMA = 100


def measure_noise(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The standard deviation of the noise in an image, of 255; null where the image is too small."""
    from isthmus.api.picture_views import estimate_noise

    picture = page.picture(request.text("image"))
    with job.task("measuring the noise", 0):
        return {"sigma": estimate_noise(picture), "before": page.show(picture, "before.png")}


def denoise(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The image without noise of a level, or of that which is measured."""
    from isthmus.api.denoising import denoise as denoise_image

    reference = request.text("image")
    picture = page.picture(reference)
    sigma = request.number("sigma", low=0, high=MAX_SIGMA) if request.has("sigma") else None
    model = page.model(request.text("model")) if request.has("model") else None
    strength = request.number("strength", 1.0, low=0, high=1)
    clean = denoise_image(picture, sigma, model, strength=strength, progress=job)
    return {
        "before": page.show(picture, "before.png"),
        "after": page.show(clean, f"{_stem(request)}-denoised.png"),
    }


def fill(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The image with the painted places filled; the mask is a picture of its size, white where painted."""
    from isthmus.api.inpainting import inpaint

    picture = page.picture(request.text("image"))
    mask = page.picture(request.text("mask"), colour=False)[..., 0]
    if mask.shape != picture.shape[:2]:
        raise DataError(
            "the mask is {mask_size} pixels and the image {size}: both must have the same size",
            id="page.mask-size",
            mask_size=_size(mask),
            size=_size(picture),
        )
    filled = inpaint(picture, mask > 127, progress=job)
    return {
        "before": page.show(picture, "before.png"),
        "after": page.show(filled, f"{_stem(request)}-filled.png"),
        "missing": float((mask > 127).mean()),
    }


def _size(pixels: Any) -> str:
    return f"{pixels.shape[1]}×{pixels.shape[0]}"


def _stem(request: Request) -> str:
    return PurePath(request.text("name", "picture")).stem or "picture"
