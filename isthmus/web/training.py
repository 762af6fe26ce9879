"""Train: one training at a time in a process of its own, which outlives the page and can be resumed.

What a training was asked, and what happened, lies in the folder OUT/.isthmus-page, so that a server that was
killed finds it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any, Literal

from isthmus.errors import UsageError
from isthmus.web.page import Page
from isthmus.web.request import Request

TrainingState = Literal["none", "running", "pausing", "paused", "done", "failed"]
_MAX_EVENTS = 4_000  # of a curve that is sent to the browser
_FOLDER = ".isthmus-page"


class TrainingDesk:
    """Starts, watches and stops the training of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._offered: set[str] = set()

    def act(self, verb: str, request: Request) -> dict[str, Any]:
        """`start`, `pause`, `resume`, `finish` (keep what is learnt so far) or `discard` a paused one.

        Raises:
            UsageError: not possible now.
        """
        with self._lock:
            if verb == "start":
                self._start(request)
            elif verb == "pause":
                self._pause()
            elif verb in ("resume", "finish"):
                if verb == "finish" and self._running():
                    self._pause()
                    self._wait()
                self._resume(finish=verb == "finish")
            elif verb == "discard":
                self._discard()
            else:
                raise UsageError("there is no action '{name}'", id="page.no-action", name=verb)
        return self.describe()

    def describe(self) -> dict[str, Any]:
        """The state, the request, and the curves."""
        request = self._read_request()
        if request is None:
            return {"state": "none", "recipes": _recipes()}
        events = _read_events(self._path("events.jsonl"))
        state = self._state(events)
        if state == "done":
            self._offer(request["out"])
        steps = _thin([event for event in events if event["kind"] == "step"])
        last = steps[-1] if steps else None
        findings = [event for event in events if event["kind"] == "finding"]
        ended: dict[str, Any] = next(
            (event for event in reversed(events) if event["kind"] in ("done", "failed", "paused")), {}
        )
        return {
            "state": state,
            "recipes": _recipes(),
            "name": Path(request["out"]).name.removesuffix(".safetensors"),
            "folder": request["folder"],
            "recipe": request["options"].get("recipe"),
            "minutes": request["options"].get("minutes"),
            "steps": steps,
            "validations": [event for event in events if event["kind"] == "validation"],
            "stage": next(
                (event["label"] for event in reversed(events[-3:]) if event["kind"] == "stage"), ""
            ),
            "seconds_left": _seconds_left(steps) if state == "running" else None,
            "images_per_second": None if last is None else last["images_per_second"],
            "findings": ended.get("findings") or findings,
            "error": ended.get("error") if state == "failed" else None,
            "picture": self._picture(events),
        }

    def _start(self, request: Request) -> None:
        if self._running() or self._state_now() in ("paused", "pausing"):
            raise UsageError(
                "a training is already running or paused",
                id="page.training-busy",
                hint="finish or discard it first",
            )
        folder = request.text("folder", "")
        data = self._page.data.resolve(folder, folder=True)
        names = [recipe_facts["name"] for recipe_facts in _recipes()]
        recipe = request.text("recipe", "conv", choices=names)
        options: dict[str, Any] = {"recipe": recipe}
        if request.has("minutes"):  # else the training takes as long as usual for its recipe
            options["minutes"] = request.number("minutes", low=0.05, high=24 * 60)
        name = request.text("name", "") or data.name
        if not re.fullmatch(r"[\w][\w .-]{0,80}", name):
            raise UsageError(
                "'{name}' is not a valid name of a model: use letters, digits, spaces, dots and hyphens",
                id="page.model-name",
                name=name,
            )
        self._page.out.mkdir(parents=True, exist_ok=True)
        out = self._page.out.resolve() / f"{name}.safetensors"
        if out.exists():
            raise UsageError(
                "a model '{name}' exists already",
                id="page.model-exists",
                hint="give another name",
                name=name,
            )
        place = self._page.out.resolve() / _FOLDER
        place.mkdir(parents=True, exist_ok=True)
        for old in ("events.jsonl", "preview.png"):
            (place / old).unlink(missing_ok=True)
        self._launch(
            {
                "folder": folder,
                "data": os.fspath(data),
                "out": os.fspath(out),
                "options": options,
                "events": os.fspath(place / "events.jsonl"),
                "picture": os.fspath(place / "preview.png"),
                "resume": False,
                "finish": False,
            }
        )

    def _resume(self, *, finish: bool) -> None:
        request = self._read_request()
        if request is None or self._running() or self._state_now() != "paused":
            raise UsageError("no training is paused", id="page.not-paused")
        state = Path(request["out"].removesuffix(".safetensors") + ".resume.safetensors")
        self._launch({**request, "resume": state.exists(), "finish": finish and state.exists()})

    def _pause(self) -> None:
        if not self._running() or self._process is None or self._process.stdin is None:
            raise UsageError("no training is running", id="page.not-running")
        _tell(self._process.stdin)

    def _discard(self) -> None:
        request = self._read_request()
        if request is None or self._running():
            raise UsageError("no training is paused", id="page.not-paused")
        Path(request["out"].removesuffix(".safetensors") + ".resume.safetensors").unlink(missing_ok=True)
        self._path("request.json").unlink(missing_ok=True)

    def _launch(self, request: dict[str, Any]) -> None:
        from isthmus.atomic import write_bytes

        path = self._path("request.json")
        write_bytes(path, json.dumps(request, indent=2).encode(), force=True)
        _append(self._path("events.jsonl"), {"kind": "launched", "time": time.time()})
        # Its own group: Ctrl-C at the server's terminal must not reach it twice.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "isthmus.web.training_process", os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """End the input of the process, which then saves its state."""
        with self._lock:
            if self._running() and self._process is not None and self._process.stdin is not None:
                _tell(self._process.stdin)
                self._wait()

    def _wait(self) -> None:
        if self._process is not None:
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                raise UsageError(
                    "the training is still ending", id="page.training-ending", hint="try again in a moment"
                ) from None

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _state_now(self) -> TrainingState:
        if self._read_request() is None:
            return "none"
        return self._state(_read_events(self._path("events.jsonl")))

    def _state(self, events: list[dict[str, Any]]) -> TrainingState:
        if self._running():
            stdin = None if self._process is None else self._process.stdin
            return "pausing" if stdin is not None and stdin.closed else "running"
        kinds = [event["kind"] for event in events]
        last = next((kind for kind in reversed(kinds) if kind in ("done", "failed", "launched")), "")
        if last == "done":
            return "done"
        # A process that ended without a word was killed: its last saved state is there.
        return "failed" if last == "failed" else "paused"

    def _picture(self, events: list[dict[str, Any]]) -> str | None:
        path = self._path("preview.png")
        if not any(event["kind"] == "picture" for event in events) or not path.exists():
            return None
        key = self._page.files.add(path.read_bytes(), "image/png", "preview.png")
        return f"/api/files/{key}"

    def _offer(self, out: str) -> None:
        if out not in self._offered and Path(out).exists():
            self._offered.add(out)
            self._page.add_model(out)

    def _path(self, name: str) -> Path:
        return self._page.out.resolve() / _FOLDER / name

    def _read_request(self) -> dict[str, Any] | None:
        try:
            request = json.loads(self._path("request.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return request if isinstance(request, dict) and {"out", "data", "options"} <= set(request) else None


def _tell(stdin: IO[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has just ended by itself
        stdin.write(b"pause\n")
        stdin.close()


def _append(path: Path, event: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def _read_events(path: Path) -> list[dict[str, Any]]:
    """All whole lines; the last may be in the writing."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return []
    events = []
    for line in lines:
        with contextlib.suppress(ValueError):
            events.append(json.loads(line))
    return [event for event in events if isinstance(event, dict) and "kind" in event]


def _thin(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    every = 1 + len(steps) // (_MAX_EVENTS // 4)
    return steps if every == 1 else [*steps[:-1:every], steps[-1]]


def _seconds_left(steps: list[dict[str, Any]]) -> float | None:
    """At the pace of the last steps."""
    recent = steps[-20:]
    if len(recent) < 2 or recent[-1]["share"] <= recent[0]["share"]:
        return None
    pace = (recent[-1]["share"] - recent[0]["share"]) / max(1e-6, recent[-1]["time"] - recent[0]["time"])
    return float((1 - recent[-1]["share"]) / pace)


def _recipes() -> list[dict[str, Any]]:
    from isthmus.api.catalogue import list_recipes

    return [
        {
            "name": recipe.name,
            "summary": recipe.summary,
            "usual_minutes": recipe.usual_minutes,
            "epochs": recipe.epochs,
        }
        for recipe in list_recipes().recipes
        if recipe.group == "family" and recipe.name != "transform-pairs"
    ]
