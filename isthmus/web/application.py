"""The addresses of the page's server.

GET  /look, /explore, …         the page itself; its address holds the state of the view
GET  /static/…                  scripts, styles, texts
GET  /api/about                 models, views, limits
GET  /api/data                  images and folders under DATA
POST /api/files?name=…          an image or compressed file for the views; its bytes are the body
GET  /api/files/ID              a picture, or something to save
GET  /api/data-file?name=…      an image of DATA as PNG
POST /api/do/ACTION             work of a view; 200 with its result, or 202 with a job that continues
GET, DELETE /api/jobs/ID        how far it is; cancel it
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from isthmus.errors import BusyError, DataError, IsthmusError, UsageError
from isthmus.version import __version__
from isthmus.web.jobs import BusyPageError, Job
from isthmus.web.page import Page, describe_error
from isthmus.web.request import Request as Values
from isthmus.web.safety import Access, RequestTooLargeError, SafetyLayer
from isthmus.web.training import TrainingDesk

Action = Callable[[Page, Values, Job], dict[str, Any]]

_HOMES = {
    "look": "looking:look",
    "compress": "compressing:compress",
    "compare-coders": "compressing:compare_coders",
    "open-compressed": "compressing:open_compressed",
    "noise": "repairing:measure_noise",
    "denoise": "repairing:denoise",
    "fill": "repairing:fill",
    "index": "finding:index",
    "nearest": "finding:find_nearest",
    "duplicates": "finding:find_duplicates",
    "unusual": "finding:find_unusual",
    "heat": "finding:draw_heat",
    "open-space": "exploring:open_space",
    "decode": "exploring:decode",
    "walk": "exploring:walk",
    "draw": "exploring:draw",
}


def _lazily(home: str) -> Action:
    module, _, name = home.partition(":")

    def act(page: Page, request: Values, job: Job) -> dict[str, Any]:
        function: Action = getattr(import_module(f"isthmus.web.{module}"), name)
        return function(page, request, job)

    return act


ACTIONS: dict[str, Action] = {name: _lazily(home) for name, home in _HOMES.items()}


STATIC = Path(__file__).parent / "static"
VIEWS = ("look", "explore", "compress", "repair", "find", "train")
MAX_JSON_BYTES = 2**20
MAX_NOTES = 8  # more are not read on a page
_SECONDS_BEFORE_JOB = 0.7  # what is ready sooner is answered at once, without progress
_THUMBNAIL_PX = 96


def create_application(page: Page, access: Access) -> SafetyLayer:
    """The server's application, for uvicorn or a test client."""

    desk = TrainingDesk(page)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(desk.close)
        page.close()

    # No generated pages about the addresses: they load scripts of another site.
    app = FastAPI(title="Isthmus", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.exception_handler(IsthmusError)
    async def say_error(_request: Request, error: IsthmusError) -> JSONResponse:
        return _error(error)

    @app.get("/")
    @app.get("/{view}")
    async def shell(view: str = "look") -> Response:
        if view not in VIEWS:
            raise UsageError("there is no page '{name}'", id="page.no-view", name=view)
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html; charset=utf-8")

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        return {
            "version": __version__,
            "models": [
                {"name": model.name, "source": model.source, **model.facts} for model in page.models()
            ],
            "data": page.data.root is not None,
            "max_bytes": access.max_body_bytes,
            "max_pixels": page.max_pixels,
        }

    @app.get("/api/data")
    def list_data(folder: str = "") -> dict[str, Any]:
        listing = page.data.list(folder)
        return {"images": listing.images, "folders": listing.folders, "count": listing.count}

    @app.get("/api/data-file")
    def data_file(name: str, small: bool = False) -> Response:
        from isthmus.api.picture_views import encode_picture, shrink_picture

        pixels = page.picture(f"data:{name}")
        if small:
            pixels = shrink_picture(pixels, _THUMBNAIL_PX)
        return Response(encode_picture(pixels), media_type="image/png")

    @app.post("/api/files")
    async def upload(request: Request, name: str = "image") -> dict[str, Any]:
        content = await request.body()
        if not content:
            raise DataError("{name}: the file is empty", id="page.empty-file", name=name)
        return {"id": page.files.add(content, "application/octet-stream", name[-200:]), "name": name}

    @app.get("/api/files/{key}")
    def download(key: str, save: bool = False) -> Response:
        file = page.files.get(key)
        headers = {"cache-control": "private, max-age=3600"}
        media_type = file.media_type
        if save or not media_type.startswith("image/"):  # nothing that a visitor sent is shown as a page
            headers["content-disposition"] = f"attachment; filename*=UTF-8''{quote(file.name)}"
        return Response(file.content, media_type=media_type, headers=headers)

    @app.post("/api/do/{action}")
    async def do(action: str, request: Request) -> JSONResponse:
        values = Values(await _read_object(request))
        if (function := ACTIONS.get(action)) is None:
            raise UsageError("there is no action '{name}'", id="page.no-action", name=action)
        job = page.jobs.submit(lambda running: function(page, values, running))
        await asyncio.to_thread(job.finished.wait, _SECONDS_BEFORE_JOB)
        return _answer(page, job)

    @app.get("/api/jobs/{key}")
    async def look_at_job(key: str) -> JSONResponse:
        return _answer(page, page.jobs.get(key))

    @app.delete("/api/jobs/{key}")
    async def cancel_job(key: str) -> dict[str, Any]:
        page.jobs.get(key).cancel()
        return {}

    @app.get("/api/training")
    def training_state() -> dict[str, Any]:
        return desk.describe()

    @app.post("/api/training/{verb}")
    async def training_verb(verb: str, request: Request) -> dict[str, Any]:
        values = Values(await _read_object(request))
        return await asyncio.to_thread(desk.act, verb, values)

    return SafetyLayer(app, access)


async def _read_object(request: Request) -> dict[str, Any]:
    body = await request.body()
    if len(body) > MAX_JSON_BYTES:
        raise RequestTooLargeError("the request is too large", id="page.request-too-large")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise UsageError("a request must be JSON (content-type application/json)", id="page.no-json")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UsageError("a request must be a JSON object", id="page.no-object")
    return values


def _answer(page: Page, job: Job) -> JSONResponse:
    if job.state == "done":
        page.jobs.forget(job)
        return JSONResponse({"result": job.result, "notes": job.notes[:MAX_NOTES]})
    if job.state == "failed" and job.error is not None:
        page.jobs.forget(job)
        return _error(job.error)
    if job.state == "cancelled":
        page.jobs.forget(job)
        return _error(UsageError("cancelled", id="page.cancelled"))
    progress = {
        "state": job.state,
        "label": job.label,
        "done": job.done,
        "total": job.total,
        "text": job.text,
    }
    return JSONResponse({"job": job.key, "progress": progress}, status_code=202)


def _error(error: Exception) -> JSONResponse:
    return JSONResponse({"error": describe_error(error)}, status_code=_status(error))


def _status(error: Exception) -> int:
    if isinstance(error, BusyPageError):
        return 503
    if isinstance(error, RequestTooLargeError):
        return 413
    if isinstance(error, BusyError):
        return 409
    if isinstance(error, UsageError) and error.id in _MISSING:
        return 404
    return 400 if isinstance(error, IsthmusError) else 500


_MISSING = frozenset(
    ("page.file-gone", "page.job-gone", "page.no-view", "page.no-action", "page.no-model", "page.not-in-data")
)
