"""The files of version 0.1, unpacked into a working folder, and one thread, as they were made."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

FILES = Path(__file__).parent / "0.1"
PACKED = ("models", "states")


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files with models and training states in folders of their own; not to be changed."""
    folder = tmp_path_factory.mktemp("compatibility") / "0.1"
    shutil.copytree(FILES, folder)
    for name in PACKED:
        with zipfile.ZipFile(FILES / f"{name}.zip") as archive:
            archive.extractall(folder / name)
    return folder


@pytest.fixture(autouse=True)
def here(unpacked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: stored sources such as `photos` are found from here."""
    monkeypatch.chdir(unpacked)
    return unpacked


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As when the files were made."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def facts() -> dict[str, Any]:
    """What was written down beside the files."""
    document: dict[str, Any] = json.loads((FILES / "facts.json").read_text("utf-8"))
    return document


@pytest.fixture
def apart(unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own with the images, for a test that writes."""
    for name in ("photos", "frames"):
        shutil.copytree(unpacked / name, tmp_path / name)
    for name in ("some.txt", "colour.npz", "noisy.png"):
        shutil.copy(unpacked / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
