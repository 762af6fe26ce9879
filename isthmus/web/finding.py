"""Find: the nearest images, near duplicates with lists of what to keep, and unusual images with heat maps."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from isthmus.errors import UsageError
from isthmus.web.jobs import Job
from isthmus.web.page import Page
from isthmus.web.request import Request

MAX_SHOWN_PAIRS = 200
MAX_SHOWN_SCORES = 5_000


def index(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """Make the index of a folder, or bring it up to date."""
    folder = request.text("folder", "")
    first = next(iter(page.data.list(folder).images), None)
    if first is None:
        raise UsageError("there are no images in this folder", id="page.no-images")
    result = _search(page, request, page.data.resolve(first), 1, job)
    return {"images": result.images, "added": result.added, "removed": result.removed}


def find_nearest(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The images of a folder that are most like one."""
    from isthmus.api.picture_views import read_picture

    query = page.image(request.text("image"))
    read_picture(query, max_pixels=page.max_pixels)  # refuses what is too large or no image
    count = request.integer("count", 12, low=1, high=100)
    result = _search(page, request, query, count, job)
    folder = request.text("folder", "")
    return {
        "images": result.images,
        "added": result.added,
        "matches": [
            {"image": _reference(folder, match.name), "name": match.name, "value": match.value}
            for match in result.matches[0]
        ],
    }


def find_duplicates(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """Pairs of images that show one picture. Nothing is deleted."""
    from isthmus.api.data_audit import audit

    folder = request.text("folder", "")
    result = audit(page.data.resolve(folder, folder=True), progress=job)
    pairs = [
        {
            "first": _reference(folder, pair.first),
            "second": _reference(folder, pair.second),
            "exact": pair.exact,
            "mirrored": pair.mirrored,
            "error": pair.error,
        }
        for pair in result.duplicates.pairs[:MAX_SHOWN_PAIRS]
    ]
    return {
        "images": result.images,
        "pairs": pairs,
        "count": len(result.duplicates.pairs),
        "names": [_reference(folder, name) for name in _names(result)],
    }


def find_unusual(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """How unusual each image of a folder is, compared with those of a folder of normal images."""
    from isthmus.api.anomaly_detection import anomalies

    name, folder = request.text("model"), request.text("folder", "")
    model = page.model(name)
    normal = page.data.resolve(request.text("normal"), folder=True) if request.has("normal") else None
    result = anomalies(model, page.data.resolve(folder, folder=True), normal=normal, progress=job)
    key = page.remember(("unusual", name, folder, request.text("normal", "")), result)
    order = key.worst(min(result.images, MAX_SHOWN_SCORES))
    threshold = float(result.threshold)
    return {
        "images": result.images,
        "normal_images": result.normal_images,
        "false_alarms": result.false_alarms,
        "threshold": threshold if threshold < float("inf") else None,
        "scores": [
            {
                "row": int(row),
                "image": _reference(folder, result.names[row]),
                "name": result.names[row],
                "score": float(result.scores[row]),
                "chance": float(result.chance[row]),
            }
            for row in order
        ],
    }


def draw_heat(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """Where an image is unusual, painted over it."""
    from isthmus.api.picture_views import paint_heat

    folder = request.text("folder", "")
    result = page.recall(("unusual", request.text("model"), folder, request.text("normal", "")))
    if result is None:
        raise UsageError("the server has deleted this result", id="page.result-gone", hint="search again")
    row = request.integer("row", low=0, high=result.images - 1)
    with job.task("drawing", 0):
        heat = result.heat(row)
    picture = page.picture(_reference(folder, result.names[row]))
    return {"heat": page.show(paint_heat(picture, heat, float(heat.max())), "heat.png")}


def _search(page: Page, request: Request, query: bytes | Path, count: int, job: Job) -> Any:
    from isthmus.api.similarity_search import search

    name, folder = request.text("model"), request.text("folder", "")
    place = page.data.resolve(folder, folder=True)
    key = hashlib.sha256(f"{page.source(name)}\0{place}".encode("utf-8", "surrogateescape")).hexdigest()[:24]
    index = page.scratch() / f"{key}.safetensors"
    return search(page.model(name), place, query, count=count, index=index, progress=job)


def _names(result: Any) -> list[str]:
    _, rows = result.csv_rows()
    return [str(row[0]) for row in rows]


def _reference(folder: str, name: str) -> str:
    return f"data:{folder}/{name}" if folder else f"data:{name}"
