"""Compress: an image as a `.isth` file of any quality, and files of other coders of the same size."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, get_args

from isthmus.web.jobs import Job
from isthmus.web.page import Page
from isthmus.web.request import Request

_HOLD_TYPE = "application/octet-stream"


def compress(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The image at one quality: bytes, fidelity, addresses of picture and file."""
    from isthmus.api.compression import compress as compress_image
    from isthmus.api.compression import decompress
    from isthmus.api.picture_views import amplify_difference, measure_pair

    model = page.model(request.text("model"))
    quality = request.integer("quality", 50, low=1, high=100)
    picture = page.picture(request.text("image"))
    with job.task("compressing", 2) as task:
        content = compress_image(picture, model=model, quality=quality)
        task.update(1)
        pixels = decompress(content, model=model)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    psnr, similarity = measure_pair(pixels, picture)
    name = PurePath(request.text("name", "picture")).stem or "picture"
    key = page.files.add(content, _HOLD_TYPE, f"{name}.isth")
    return {
        "bytes": len(content),
        "bpp": 8 * len(content) / (picture.shape[0] * picture.shape[1]),
        "psnr": psnr,
        "ssim": similarity,
        "before": page.show(picture, "before.png"),
        "after": page.show(pixels, "after.png"),
        "error": page.show(amplify_difference(pixels, picture, 8.0), "error.png"),
        "file": f"/api/files/{key}",
    }


def compare_coders(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The same image by another coder, of at most as many bytes."""
    from isthmus.api.picture_views import CoderKind, amplify_difference, encode_within

    coders: dict[str, CoderKind] = {kind: kind for kind in get_args(CoderKind)}
    coder = coders[request.text("coder", choices=tuple(coders))]
    most = request.integer("bytes", low=1, high=10**9)
    picture = page.picture(request.text("image"))
    with job.task("comparing", 0):
        coded = encode_within(picture, coder, most)
    return {
        "coder": coder,
        "bytes": coded.bytes,
        "quality": coded.quality,
        "psnr": coded.psnr,
        "after": page.show(coded.pixels, f"{coder}.png"),
        "error": page.show(amplify_difference(coded.pixels, picture, 8.0), f"{coder}-error.png"),
    }


def open_compressed(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The picture in a `.isth` file, to look at and to save as PNG."""
    from isthmus.api.compression import decompress

    model = page.model(request.text("model"))
    stored = page.files.get(request.text("file"))
    with job.task("decompressing", 0):
        pixels = decompress(stored.content, model=model, max_pixels=page.max_pixels)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    return {"picture": page.show(pixels, f"{PurePath(stored.name).stem}.png"), "bytes": len(stored.content)}
