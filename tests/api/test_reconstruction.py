"""`isthmus.reconstruct_files`: what is written, enlarged and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import UsageError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "reconstruct": Parity(
        ["reconstruct", MODEL, "photos", "-o", "out"],
        lambda: isthmus.reconstruct_files(MODEL, "photos", out="out", force=True),
    ),
    "reconstruct, all options": Parity(
        [
            *("reconstruct", MODEL, "photos", "-o", "out", "--compare", "--scale", "3", "--limit", "4"),
            *("--force", "--workers", "2"),
        ],
        lambda: isthmus.reconstruct_files(
            MODEL, "photos", out="out", compare=True, scale=3, limit=4, force=True, workers=2
        ),
    ),
}


def read(path: str | Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.usefixtures("here")
def test_one_image_may_go_to_one_file_enlarged() -> None:
    done = isthmus.reconstruct_files(MODEL, "photos/left/1.png", out="one.png", scale=2)
    assert done.files == ("one.png",) and done.written == 1
    plain = isthmus.load(MODEL).reconstruct(read("photos/left/1.png"))
    np.testing.assert_array_equal(read("one.png")[::2, ::2], plain)
    np.testing.assert_array_equal(read("one.png")[1::2, 1::2], plain)
    with pytest.raises(UsageError, match="scale=0"):
        isthmus.reconstruct_files(MODEL, "photos", out="out", scale=0)
