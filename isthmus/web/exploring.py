"""Explore: move in the space of codes, walk between images, and draw new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from isthmus.errors import DataError
from isthmus.web.jobs import Job
from isthmus.web.page import Page
from isthmus.web.request import Request

if TYPE_CHECKING:
    from isthmus.api.picture_views import Autoencoder

MAX_MAP_IMAGES = 1_000
MAX_NUMBER_SLIDERS = 24


def open_space(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The plane of all codes, and how many directions there are."""
    space = _space(page, request, job)
    numbers = space.numbers()
    return {
        "names": [_reference(request.text("folder", ""), name) for name in space.names],
        "labels": space.labels,
        "points": [[round(float(number), 4) for number in row] for row in space.coordinates[:, :2]],
        "coordinates": [[round(float(number), 3) for number in row] for row in space.coordinates],
        "explained": [float(number) for number in space.explained],
        "numbers": [float(number) for number in numbers[:MAX_NUMBER_SLIDERS]],
        "picture": page.show(space.decode([])),
    }


def decode(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The image at a point: moves along directions, or single numbers, from an image or the mean."""
    space = _space(page, request, job)
    start = request.integer("start", low=0, high=len(space.names) - 1) if request.has("start") else None
    if request.has("numbers"):
        changes = dict(enumerate(request.numbers("numbers", most=MAX_NUMBER_SLIDERS)))
        return {"picture": page.show(space.decode_numbers(changes, start=start), "decoded.png")}
    moves = request.numbers("moves", most=space.directions)
    return {"picture": page.show(space.decode(moves, start=start), "decoded.png")}


def walk(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """The images between two others."""
    from isthmus.api.interpolation import interpolate
    from isthmus.api.picture_views import fit_picture

    model = page.model(request.text("model"))
    ends = [fit_picture(model, page.picture(request.text(name)))[0] for name in ("first", "second")]
    frames = request.integer("frames", 13, low=2, high=33)
    with job.task("walking", 0):
        result = interpolate(model, ends, frames=frames)
    return {"pictures": [page.show(result.image(index), "walk.png") for index in range(result.count)]}


def draw(page: Page, request: Request, job: Job) -> dict[str, Any]:
    """New images of a temperature and a guidance and, where the prior has classes, of one class."""
    from isthmus.api.sampling import generate

    model = page.model(request.text("model"))
    if not any(name.startswith("prior") for name in model.attachments):
        _fit_prior(page, model, request.text("folder", ""), job)
    label = request.text("label") if request.has("label") else None
    result = generate(
        model,
        request.integer("count", 16, low=1, high=64),
        label=label,
        temperature=request.number("temperature", 1.0, low=0, high=3),
        guidance=request.number("guidance", 1.0, low=0, high=10),
        seed=request.integer("seed", 0, low=0, high=2**31),
        progress=job,
    )
    return {
        "pictures": [page.show(result.image(index), "new.png") for index in range(result.count)],
        "prior": result.prior,
    }


def _fit_prior(page: Page, model: Autoencoder, folder: str, job: Job) -> None:
    """Fit a prior, which the loaded model keeps and its file does not: to the training images where they are
    found, else to those of the folder.
    """
    from isthmus.api.priors import fit_prior

    try:
        fit_prior(model, kind="mixture", progress=job)
    except DataError:
        if page.data.root is None:
            raise
        fit_prior(model, page.data.resolve(folder, folder=True), kind="mixture", progress=job)


def _space(page: Page, request: Request, job: Job) -> Any:
    from isthmus.api.code_space import open_code_space

    name, folder = request.text("model"), request.text("folder", "")
    model = page.model(name)
    key = ("space", name, folder)
    stored = page.recall(key)
    if stored is not None and stored[0] is model:
        return stored[1]
    place = page.data.resolve(folder, folder=True)
    space = open_code_space(model, place, limit=MAX_MAP_IMAGES, progress=job)
    page.remember(key, (model, space))
    return space


def _reference(folder: str, name: str) -> str:
    return f"data:{folder}/{name}" if folder else f"data:{name}"
