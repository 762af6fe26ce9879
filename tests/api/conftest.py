"""A folder of small images and a model that was trained on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli.conftest import QUICK, quick_audits, quick_demo, write_photos

from isthmus.__main__ import main

__all__ = ["quick_audits", "quick_demo"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos/` and `photos.safetensors`; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    write_photos(folder / "photos", count=24)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["train", "photos", *QUICK, "--quiet"]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_audits: None) -> Path:  # noqa: ARG001
    """A fresh working folder with a copy of what `trained` holds."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path
