"""Photographs that the scripts in `tools/` are tried on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from skimage import data


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, (height, width) in {"chelsea": (96, 96), "coffee": (64, 128)}.items():
        Image.fromarray(getattr(data, name)()[:height, :width]).save(folder / f"{name}.png")
    return folder
