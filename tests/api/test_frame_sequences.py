"""`isthmus.fill_frames`, `insert_frames`, `predict_frames`, `reconstruct_frames`, `fit_motion`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus

from .parity import Parity

MODEL, FRAMES = "photos.safetensors", "photos/left"
PARITY = {
    "frames": Parity(
        ["frames", MODEL, FRAMES, "-o", "a.gif"], lambda: isthmus.reconstruct_frames(MODEL, FRAMES)
    ),
    "frames --fill": Parity(
        ["frames", MODEL, FRAMES, "--fill", "1,3-4", "--scale", "2", "-o", "a.webp", "-o", "folder"],
        lambda: isthmus.fill_frames(MODEL, FRAMES, [1, 3, 4]),
    ),
    "frames --between": Parity(
        ["frames", MODEL, FRAMES, "--between", "2", "-o", "a.png"],
        lambda: isthmus.insert_frames(MODEL, FRAMES, 2),
    ),
    "frames --predict": Parity(
        ["frames", MODEL, FRAMES, "--predict", "2", "-o", "a.npz"],
        lambda: isthmus.predict_frames(MODEL, FRAMES, 2),
    ),
    "frames --learn": Parity(
        ["frames", MODEL, FRAMES, "--learn", "--steps", "2"],
        lambda: isthmus.fit_motion(MODEL, FRAMES, steps=2),
    ),
}


@pytest.mark.usefixtures("here")
def test_an_array_of_frames_is_worked_on_as_a_folder_is() -> None:
    folder = isthmus.insert_frames(MODEL, FRAMES, 1)
    ordered = sorted(Path(FRAMES).iterdir(), key=lambda path: int(path.stem))
    given = np.stack([np.asarray(Image.open(path)) for path in ordered])
    assert np.array_equal(isthmus.insert_frames(MODEL, given, 1).pixels, folder.pixels)


@pytest.mark.usefixtures("here")
def test_an_animation_keeps_its_size_unless_a_scale_is_given(tmp_path: Path) -> None:
    result = isthmus.reconstruct_frames(MODEL, FRAMES)
    with Image.open(result.save(tmp_path / "a.gif")) as opened:
        assert opened.size == (12, 12)
    with Image.open(result.save(tmp_path / "b.gif", scale=5)) as opened:
        assert opened.size == (60, 60)
    with Image.open(result.save(tmp_path / "a.png")) as sheet:
        assert min(sheet.size) >= 3 * 112


@pytest.mark.usefixtures("here")
def test_motion_is_kept_in_the_file() -> None:
    assert isthmus.fit_motion(MODEL, FRAMES, steps=2).sequences == 1
    assert isthmus.predict_frames(MODEL, FRAMES, 1).learned
