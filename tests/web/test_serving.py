"""`isthmus serve` as a process: it starts without torch, says its address, and ends in good order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'browser-test'")
pytest.importorskip("httpx2", reason="needs the extra 'browser-test'")

import isthmus
from isthmus.__main__ import main
from isthmus.api.demo_images import IMAGES
from isthmus.errors import IsthmusError

from .conftest import Served, start_server

_TORCH_CHECK = """
import sys, threading, urllib.request
import isthmus.web.serving as serving
def ask(server, listener, is_over):
    def work():
        port = listener.getsockname()[1]
        for path in ("/", "/api/about", "/api/data", "/static/app.js", "/api/training"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                assert answer.status == 200
        server.should_exit = True
    threading.Timer(0.3, work).start()
    run(server, listener, is_over)
run, serving._run = serving._run, ask
result = serving.serve(sys.argv[1], data=sys.argv[2], out=sys.argv[3], port=0, minutes=1)
assert result.requests >= 4, result  # the last may not be counted yet
print(sorted({"torch", "sklearn", "scipy", "matplotlib"} & set(sys.modules)))
"""


def test_the_page_answers_without_torch(model_path: str, data: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _TORCH_CHECK, model_path, os.fspath(data), os.fspath(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_an_answer_waits_for_no_acknowledgement(served: Served) -> None:
    """On a connection that is kept, the body of each answer would come 40 ms after its head."""
    connection = HTTPConnection(served.url.removeprefix("http://"), timeout=60)
    seconds = []
    for _ in range(60):
        began = time.perf_counter()
        connection.request("GET", "/static/texts/zh.json")
        assert connection.getresponse().read().startswith(b"{")
        seconds.append(time.perf_counter() - began)
    connection.close()
    assert sorted(seconds[20:])[10] < 0.03  # the first ones are acknowledged at once


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_good_order(number: int, model_path: str, data: Path, tmp_path: Path) -> None:
    with start_server(model_path, data, tmp_path) as server:
        with urllib.request.urlopen(f"{server.url}/api/about") as answer:
            assert answer.status == 200
        server.process.send_signal(number)
        assert server.process.wait(timeout=30) == 0


def test_it_ends_after_its_time_with_a_result(model_path: str, data: Path) -> None:
    result = isthmus.serve(model_path, data=data, port=0, minutes=0)
    document = result.to_dict()
    assert document["schema"] == "isthmus.serve/1"
    assert (document["models"], document["data"]) == ([model_path], os.fspath(data))
    assert document["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("options", "id"),
    [
        ({"port": 70_000}, "page.port"),
        ({"max_megabytes": 0}, "page.option"),
        ({"max_megapixels": float("nan")}, "page.option"),
        ({"minutes": -1}, "page.option"),
        ({"token": "short"}, "page.weak-token"),
        ({"token": "with spaces and more"}, "page.weak-token"),
        ({"data": "no-such-folder"}, "page.no-folder"),
        ({"models": "none.safetensors"}, "model-file.missing"),
        ({"host": "203.0.113.7"}, "page.address-in-use"),
    ],
)
def test_what_cannot_be_served_is_named(options: dict[str, Any], id: str) -> None:
    with pytest.raises(IsthmusError) as caught:
        isthmus.serve(**{"port": 0, "minutes": 0, **options})
    assert caught.value.id == id


def test_a_port_in_use_is_named(served: Served) -> None:
    port = int(served.url.rpartition(":")[2])
    with pytest.raises(IsthmusError) as caught:
        isthmus.serve(port=port, minutes=0)
    assert caught.value.id == "page.address-in-use"


def test_other_machines_get_a_token_in_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--minutes", "0", "--json"]) == 0
    out, err = capsys.readouterr()
    assert "/?token=" in err
    assert "token" not in json.loads(out)["url"], "the document may be kept: it holds no secret"


def test_the_room_uses_nothing_below_the_api() -> None:
    import ast

    allowed = ("api", "atomic", "errors", "log", "messages", "progress", "version", "web")
    folder = Path(isthmus.__file__).parent / "web"
    imported = {
        (path.name, node.module or "")
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
    }
    own = {(name, module) for name, module in imported if module.split(".")[0] == "isthmus"}
    assert len(own) > 30
    assert {(name, module) for name, module in own if module.split(".")[1] not in allowed} == set()


@pytest.mark.slow
def test_the_demo_ends_with_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, dict[str, Any]]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("isthmus.api.demonstration.RECIPE", "dense")
    monkeypatch.setattr("isthmus.cli.demo.serve", lambda model, **options: served.append((model, options)))
    assert main(["demo", "--serve", "--minutes", "0.02", "-o", "shown", "--quiet"]) == 0
    ((model, options),) = served
    assert Path(model).exists()
    images = list(Path(options["data"]).rglob("*.png"))
    assert len(images) == IMAGES + 1
    assert len({path.parent.name for path in images}) == 11
    assert Path(options["out"]) == Path("shown")
