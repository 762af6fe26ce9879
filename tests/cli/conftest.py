"""A folder of small images and a model trained on it, and a way to run a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from isthmus.__main__ import main

QUICK = (
    "--recipe",
    "dense",
    "--set",
    "backbone.width=8",
    "--code",
    "3",
    "--steps",
    "4",
    "--precision",
    "float32",
)


def write_photos(folder: Path, count: int = 10, size: tuple[int, int] = (12, 12)) -> None:
    """Small gray images in two sub-folders."""
    random = np.random.default_rng(0)
    for index in range(count):
        path = folder / ("left" if index % 2 else "right") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full(size, 20, np.uint8)
        y, x = random.integers(2, 8, 2)
        pixels[y : y + 4, x : x + 4] = 200
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos/` and `photos.safetensors`; not to be changed."""
    folder = tmp_path_factory.mktemp("ready")
    write_photos(folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "photos", *QUICK, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh working folder with a copy of what `ready` holds."""
    import shutil

    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def document(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Runs a command with `--json` and returns its one object."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*words, "--json"]) == code
        out = capsys.readouterr().out
        assert out.count("\n") == 1
        found: dict[str, Any] = json.loads(out)
        return found

    return run
