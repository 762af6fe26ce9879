"""`isthmus.augment`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.__main__ import main
from isthmus.errors import OutputError

from .parity import Parity

MODEL = "photos.safetensors"
PARITY = {
    "augment": Parity(
        ["augment", MODEL, "photos", "-n", "4", "-o", "a.npz"], lambda: isthmus.augment(MODEL, "photos", 4)
    ),
    "augment, all options": Parity(
        [
            *("augment", MODEL, "photos", "-n", "6", "--methods", "moves,distortions"),
            *("--distortions", "rotate,noise", "--also-distort", "--no-filtered"),
            *("--seed", "3", "--scale", "2", "-o", "more"),
        ],
        lambda: isthmus.augment(
            MODEL,
            "photos",
            6,
            methods=("moves", "distortions"),
            distortions=("rotate", "noise"),
            also_distort=True,
            filtered=False,
            seed=3,
        ),
    ),
    "augment, balance": Parity(
        ["augment", MODEL, "few", "--balance", "--no-filtered", "-o", "more"],
        lambda: isthmus.augment(MODEL, "few", balance=True, filtered=False),
        prepare=lambda: _write_few(),
    ),
}


def _write_few() -> None:
    import shutil

    shutil.copytree("photos", "few", dirs_exist_ok=True)
    for path in sorted(Path("few/left").iterdir())[:3]:
        path.unlink()


@pytest.mark.usefixtures("here")
def test_new_images_are_saved_with_their_labels(tmp_path: Path) -> None:
    result = isthmus.augment(MODEL, "photos", 6, filtered=False)
    assert result.classes == {"left": 3, "right": 3}
    result.save(tmp_path / "more")
    again = isthmus.read(tmp_path / "more")
    assert again.classes == ("left", "right") and len(again) == 6
    result.save(tmp_path / "a.npz")
    assert np.array_equal(np.load(tmp_path / "a.npz")["labels"], result.labels)
    with pytest.raises(OutputError, match="cannot store labels"):
        result.save(tmp_path / "a.png")


@pytest.mark.usefixtures("here")
def test_the_old_spellings_are_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augment", MODEL, "photos", "--number", "2", "--unfiltered", "-o", "more"]) == 0
    notes = capsys.readouterr().err
    assert "--number is now --count" in notes and "--unfiltered is now --no-filtered" in notes
