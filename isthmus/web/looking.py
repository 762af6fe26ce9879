"""Look: an image before and after a model, their difference, and the code."""

from __future__ import annotations

from typing import Any

from isthmus.web.jobs import Job
from isthmus.web.page import Page
from isthmus.web.request import Request


def look(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """One image as a model sees it: addresses of the pictures, PSNR, SSIM, the code."""
    from isthmus.api.picture_views import amplify_difference, view_image

    model = page.model(request.text("model"))
    picture = page.picture(request.text("image"))
    with job.task("reconstructing", 0):
        view = view_image(model, picture)
    answer: dict[str, Any] = {
        "before": page.show(view.image, "before.png"),
        "after": page.show(view.reconstruction, "after.png"),
        "psnr": view.psnr,
        "ssim": view.ssim,
        "code": view.code,
        "code_shape": view.code_shape,
        "resized": view.resized,
    }
    if view.image.shape == view.reconstruction.shape:
        answer["difference"] = page.show(
            amplify_difference(view.reconstruction, view.image), "difference.png"
        )
    return answer
