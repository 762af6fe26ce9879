"""A training on the page: it is watched, paused, goes on, survives the server, and gives a model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

import isthmus
from isthmus.errors import Stopped

from .conftest import Served, start_server

WAIT_SECONDS = 240


def ask(server: Served, path: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    body = None if values is None else json.dumps(values).encode()
    request = urllib.request.Request(
        server.url + path, data=body, headers={"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:
            document: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        document = json.load(error)
    return document


def wait_until(server: Served, reached: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        now = ask(server, "/api/training")
        if reached(now):
            return now
        assert time.monotonic() < until, now
        assert now["state"] != "failed", now["error"]
        time.sleep(0.3)


START = {"folder": "shapes", "recipe": "dense", "minutes": 30, "name": "mine"}


@pytest.mark.slow
def test_start_pause_resume_and_keep(model_path: str, data: Path, tmp_path: Path) -> None:
    with start_server(model_path, data, tmp_path) as server:
        assert ask(server, "/api/training")["state"] == "none"
        assert ask(server, "/api/training/start", START)["state"] == "running"
        assert ask(server, "/api/training/start", START)["error"]["id"] == "page.training-busy"
        running = wait_until(server, lambda now: len(now["steps"]) >= 3 and now["picture"])
        assert running["name"] == "mine"
        assert running["images_per_second"] > 0 and running["seconds_left"] > 60
        assert running["steps"][-1]["loss"] > 0
        with urllib.request.urlopen(server.url + running["picture"]) as answer:
            assert answer.read(4) == b"\x89PNG"
        # The views answer while it trains.
        values = {"model": "shapes", "image": "data:shapes/bars/01.png"}
        assert "error" not in ask(server, "/api/do/look", values)

        ask(server, "/api/training/pause", {})
        paused = wait_until(server, lambda now: now["state"] == "paused")
        assert (tmp_path / "mine.resume.safetensors").exists()
        ask(server, "/api/training/resume", {})
        further = wait_until(server, lambda now: now["steps"][-1]["step"] > paused["steps"][-1]["step"] + 2)
        assert further["state"] == "running"
        ask(server, "/api/training/finish", {})
        done = wait_until(server, lambda now: now["state"] == "done")
        assert "mine" in [model["name"] for model in ask(server, "/api/about")["models"]]
        report = isthmus.load(tmp_path / "mine.safetensors").training_report
        assert report.steps >= further["steps"][-1]["step"]
        assert isinstance(done["findings"], list)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_server_leaves_a_state_that_goes_on(
    number: int, model_path: str, data: Path, tmp_path: Path
) -> None:
    with start_server(model_path, data, tmp_path) as server:
        ask(server, "/api/training/start", START)
        before = wait_until(server, lambda now: len(now["steps"]) >= 3)
        server.process.send_signal(number)
        server.process.wait(timeout=90)
    until = time.monotonic() + WAIT_SECONDS
    while not (
        tmp_path / "mine.resume.safetensors"
    ).exists():  # the training saves it when its server is gone
        assert time.monotonic() < until
        time.sleep(0.3)
    with start_server(model_path, data, tmp_path) as again:
        wait_until(again, lambda now: now["state"] == "paused")
        ask(again, "/api/training/resume", {})
        further = wait_until(again, lambda now: now["steps"][-1]["step"] > before["steps"][-1]["step"] + 2)
        assert further["name"] == "mine"
        ask(again, "/api/training/pause", {})
        wait_until(again, lambda now: now["state"] == "paused")
        assert ask(again, "/api/training/discard", {})["state"] == "none"
        assert not (tmp_path / "mine.resume.safetensors").exists()


@pytest.mark.slow
def test_a_training_without_a_length_takes_the_usual_one(model_path: str, data: Path, tmp_path: Path) -> None:
    with start_server(model_path, data, tmp_path) as server:
        values = {"folder": "shapes", "recipe": "features", "minutes": None, "name": "mine"}
        begun = ask(server, "/api/training/start", values)
        assert begun["minutes"] is None
        lengths = {entry["name"]: (entry["usual_minutes"], entry["epochs"]) for entry in begun["recipes"]}
        assert (lengths["conv"], lengths["generative"]) == ((5, None), (20, None))
        assert lengths["features"] == (None, 1)  # one pass over 33 images, not some minutes
        wait_until(server, lambda now: now["state"] == "done")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals to oneself")
def test_a_training_of_some_passes_can_be_finished_early(data: Path, tmp_path: Path) -> None:
    def interrupt(event: isthmus.TrainingEvent) -> None:
        if event.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    callbacks: Any = [SimpleNamespace(on_step=interrupt)]
    out = tmp_path / "mine.safetensors"
    how: dict[str, Any] = {"recipe": "dense", "code": "3", "settings": ["optimiser.epochs=400"]}
    with pytest.raises(Stopped):
        isthmus.train(data / "shapes", out=out, callbacks=callbacks, **how)
    events = tmp_path / "events.jsonl"
    request = {"data": str(data / "shapes"), "options": how, "resume": True, "finish": True, "out": str(out)}
    request |= {"events": str(events), "picture": str(tmp_path / "preview.png")}
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    words = [sys.executable, "-m", "isthmus.web.training_process", str(tmp_path / "request.json")]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        process.wait(timeout=WAIT_SECONDS)
    last = json.loads(events.read_text("utf-8").splitlines()[-1])
    assert (last["kind"], last["steps"]) == ("done", 4)


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"folder": "nowhere"}, "page.not-in-data"),
        ({"folder": "../"}, "page.not-in-data"),
        ({"recipe": "none"}, "page.parameter"),
        ({"recipe": "/etc/passwd"}, "page.parameter"),
        ({"minutes": 0}, "page.parameter"),
        ({"minutes": 1e9}, "page.parameter"),
        ({"name": "../mine"}, "page.model-name"),
        ({"name": "a/b"}, "page.model-name"),
        ({"name": ".hidden"}, "page.model-name"),
    ],
)
def test_what_cannot_be_trained_is_named(served: Served, changes: dict[str, Any], id: str) -> None:
    assert ask(served, "/api/training/start", {**START, **changes})["error"]["id"] == id
    assert not list(served.out.glob("*.safetensors"))


@pytest.mark.parametrize("verb", ["pause", "resume", "finish", "discard", "explode"])
def test_nothing_to_do_is_named(served: Served, verb: str) -> None:
    assert ask(served, f"/api/training/{verb}", {})["error"]["id"].startswith("page.n")
    assert {path.name for path in served.out.iterdir()} <= {".isthmus-page"}
