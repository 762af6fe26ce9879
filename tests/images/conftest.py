"""Every test has its own cache folder, and sees none of the data sets that this machine may hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".cache"
    monkeypatch.setenv("ISTHMUS_CACHE", str(folder))
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    monkeypatch.delenv("ISTHMUS_MIRROR", raising=False)
    return folder


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)
