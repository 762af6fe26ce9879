"""`isthmus.find_direction` and `transform`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main

from .parity import Parity

MODEL, IMAGE = "photos.safetensors", "photos/right/0.png"


def _write_direction() -> str:
    way = Path("way")
    if not way.exists():
        isthmus.find_direction(MODEL, "photos/left", "photos/right").save(way)
    return str(way)


PARITY = {
    "direction": Parity(
        ["direction", MODEL, "--plus", "photos/left", "--minus", "photos/right", "-o", "d"],
        lambda: isthmus.find_direction(MODEL, "photos/left", "photos/right"),
    ),
    "direction, all options": Parity(
        [
            *("direction", MODEL, "--data", "photos", "--label", "left", "--from-label", "right"),
            *("--method", "discriminant", "-o", "d.safetensors"),
        ],
        lambda: isthmus.find_direction(
            MODEL, data="photos", label="left", from_label="right", method="discriminant"
        ),
    ),
    "transform": Parity(
        ["transform", MODEL, IMAGE, "--along", "way", "-o", "a.png"],
        lambda: isthmus.transform(MODEL, IMAGE, "way"),
        prepare=_write_direction,
    ),
    "transform, all options": Parity(
        [
            *("transform", MODEL, IMAGE, "--along", "way", "--by", "-1,0,2.5", "--no-keep-detail"),
            *("--scale", "2", "-o", "a.gif", "-o", "a.json"),
        ],
        lambda: isthmus.transform(MODEL, IMAGE, "way", by=(-1, 0, 2.5), keep_detail=False),
        prepare=_write_direction,
    ),
}


@pytest.mark.usefixtures("here")
def test_a_direction_is_followed_from_memory_as_from_its_file() -> None:
    result = isthmus.find_direction(MODEL, "photos/left", "photos/right")
    assert result.images == (12, 12) and 0 <= result.auc <= 1 and result.step.dtype == np.float32
    result.save("way")
    moved = isthmus.transform(MODEL, IMAGE, result, [0, 1])
    assert np.array_equal(moved.pixels, isthmus.transform(MODEL, IMAGE, "way", [0, 1]).pixels)
    assert np.abs(moved.image(0).astype(int) - isthmus.read(IMAGE).image(0)).max() <= 1


@pytest.mark.usefixtures("here")
def test_the_old_spellings_of_the_command_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["direct", MODEL, "--data", "photos", "--class", "left", "--from", "right", "-o", "d"]
    assert main(words) == 0
    assert main(["transform", MODEL, IMAGE, "--along", "d", "--plain", "-o", "a.png"]) == 0
    notes = capsys.readouterr().err
    assert "--plain is now --no-keep-detail" in notes
    assert "direct is now direction" in notes and "--class is now --label" in notes
    assert "--from is now --from-label" in notes
