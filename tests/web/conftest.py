"""A folder of images, a small model and the page's server, as a test client or on a port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import isthmus

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from isthmus.web.page import Page

SIDE = 24
CLASSES = ("bars", "rings")


def draw_image(kind: str, number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Bars or rings on black, `(SIDE, SIDE)`; each number gives another one."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    random = np.random.default_rng(number)
    if kind == "bars":
        wave = np.sin((columns + random.uniform(0, 6)) * random.uniform(0.5, 0.9))
    else:
        centre = random.uniform(8, 16, 2)
        wave = np.sin(np.hypot(rows - centre[0], columns - centre[1]) * random.uniform(0.8, 1.2))
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = ((wave + 1) * random.uniform(80, 120)).astype(np.uint8)
    return pixels


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`shapes/{bars,rings}/N.png` of two classes, a copy among them, and a colour photograph with noise."""
    folder = tmp_path_factory.mktemp("data")
    for kind in CLASSES:
        (folder / "shapes" / kind).mkdir(parents=True)
        for number in range(16):
            Image.fromarray(draw_image(kind, number)).save(folder / "shapes" / kind / f"{number:02d}.png")
    Image.fromarray(draw_image("rings", 3)).save(folder / "shapes" / "rings" / "copy.png")
    (folder / "photos").mkdir()
    rows, columns = np.mgrid[0:96, 0:128] / 96
    smooth = np.stack([rows, columns / 2 + 0.2, 1 - rows], axis=2) * 180 + 30
    noisy = smooth + np.random.default_rng(0).normal(0, 20, smooth.shape)
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(folder / "photos" / "noisy.png")
    return folder


@pytest.fixture(scope="session")
def model_path(data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "shapes.safetensors"
    isthmus.train(data / "shapes", recipe="dense", code="8", steps=60, out=path, seed=0)
    return os.fspath(path)


@pytest.fixture
def page(data: Path, model_path: str, tmp_path: Path) -> Iterator[Page]:
    from isthmus.web.page import Page

    page = Page([model_path], data, tmp_path / "models", max_pixels=200_000)
    yield page
    page.close()


@pytest.fixture
def client(page: Page) -> Iterator[TestClient]:
    with make_client(page) as client:
        yield client


def make_client(
    page: Page, *, host: str = "127.0.0.1", token: str = "", max_bytes: int = 2_000_000
) -> TestClient:
    """A client of a server at this address."""
    from fastapi.testclient import TestClient

    from isthmus.web.application import create_application
    from isthmus.web.safety import Access

    application = create_application(page, Access(host, token, max_bytes))
    return TestClient(application, base_url=f"http://{host}:8017", follow_redirects=False)


def act(client: TestClient, action: str, values: dict[str, Any]) -> dict[str, Any]:
    """Do an action and wait for its result."""
    answer = client.post(f"/api/do/{action}", json=values)
    while answer.status_code == 202:
        answer = client.get(f"/api/jobs/{answer.json()['job']}")
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["result"]
    return result


@dataclass(frozen=True)
class Served:
    """A server in a process of its own."""

    url: str
    process: subprocess.Popen[bytes]
    out: Path


@contextmanager
def start_server(model: str, data: Path, out: Path, *options: str) -> Iterator[Served]:
    """`isthmus serve` on a free port, from when it answers to the end of the block."""
    words = ["serve", model, "--data", os.fspath(data), "--out", os.fspath(out), "--port", "0", *options]
    out.mkdir(exist_ok=True)
    log = out.parent / f"{out.name}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "isthmus", *words], stderr=stderr)
    try:
        while not (result := re.search(r"http://\S+?(?=;)", log.read_text("utf-8"))):
            assert process.poll() is None, log.read_text("utf-8")
            time.sleep(0.05)
        yield Served(result[0], process, out)
    finally:
        process.terminate()
        process.wait(timeout=90)


@pytest.fixture(scope="session")
def served(data: Path, model_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with start_server(model_path, data, tmp_path_factory.mktemp("out")) as server:
        yield server
