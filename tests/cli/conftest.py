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
from isthmus.api import demonstration
from isthmus.api.pages import example_images
from isthmus.evaluation.audit import duplicate_limits
from isthmus.images.named import sample_photo
from isthmus.images.reading import read

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
def quick_audits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of audits are fitted to fewer changed images; tests/evaluation/test_audit.py tests them."""
    monkeypatch.setattr(duplicate_limits, "LIMIT_PAIRS", 40)
    monkeypatch.setattr(duplicate_limits, "USUAL_PAIRS", 16)


@pytest.fixture
def quick_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The demo with a smaller network, fewer images and a part of its photograph, for its two minutes."""
    monkeypatch.chdir(tmp_path)
    few = read("fashion-sample:test[:60]")
    assert few.labels is not None
    np.savez("few.npz", images=few.stack(range(60)), labels=few.labels, classes=np.array(few.classes))
    for name, value in {
        "RECIPE": "dense",
        "TEST": "few.npz",
        "MAX_FEATURE_IMAGES": 100,
        "SAMPLES": 40,
    }.items():
        monkeypatch.setattr(demonstration, name, value)
    photo = sample_photo()[100:228, 100:260]
    monkeypatch.setattr(example_images, "sample_photo", lambda: photo)


@pytest.fixture
def here(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_audits: None) -> Path:  # noqa: ARG001
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
        answer: dict[str, Any] = json.loads(out)
        return answer

    return run
