"""The work that the browser can ask for: a name for each function of the views, loaded when first needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.web.jobs import Job
    from isthmus.web.page import Page
    from isthmus.web.request import Request

Action = Callable[["Page", "Request", "Job"], dict[str, Any]]

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

    def act(page: Page, request: Request, job: Job) -> dict[str, Any]:
        function: Action = getattr(import_module(f"isthmus.web.{module}"), name)
        return function(page, request, job)

    return act


ACTIONS: dict[str, Action] = {name: _lazily(home) for name, home in _HOMES.items()}
