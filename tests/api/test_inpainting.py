"""`isthmus.inpaint` and `isthmus.inpaint_files`: results, ways to say what is missing, ranges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.errors import DataError, UsageError

from .parity import Parity

PARITY = {
    "inpaint": Parity(
        ["inpaint", "photos/left", "-o", "out", "--find", "dead-pixels"],
        lambda: isthmus.inpaint_files("photos/left", out="out", find="dead-pixels", force=True),
    ),
    "inpaint, all options": Parity(
        [
            *("inpaint", "photos/left", "-o", "out", "--mask-colour", "#808080", "--tolerance", "90"),
            *("-m", "photo-inpaint", "--ensemble", "--range", "0,255", "--compare", "--force"),
            *("--workers", "1", "--max-pixels", "1"),
        ],
        lambda: isthmus.inpaint_files(
            "photos/left",
            out="out",
            mask_colour="#808080",
            tolerance=90,
            model="photo-inpaint",
            ensemble=True,
            range=(0, 255),
            compare=True,
            force=True,
            workers=1,
            max_pixels=1_000_000,
        ),
    ),
}


@pytest.fixture
def scratched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The mask of `scratch.png`, a picture in the working folder, which is also at `mask.png`."""
    monkeypatch.chdir(tmp_path)
    mask = np.zeros((40, 48), bool)
    mask[10:14, 5:30] = True
    pixels = np.random.default_rng(0).integers(100, 120, (40, 48, 3)).astype(np.uint8)
    pixels[mask] = 255
    Image.fromarray(pixels).save("scratch.png")
    Image.fromarray(mask).save("mask.png")
    return mask


def test_a_path_gives_an_array_and_a_file_the_same_pixels(scratched: np.ndarray) -> None:
    given = np.asarray(Image.open("scratch.png"))
    whole = isthmus.inpaint("scratch.png", "mask.png")
    np.testing.assert_array_equal(whole[~scratched], given[~scratched])
    assert (whole[scratched] < 200).all()
    (entry,) = isthmus.inpaint_files("scratch.png", mask="mask.png", out="whole.png").files
    assert entry.missing == pytest.approx(scratched.mean())
    np.testing.assert_array_equal(np.asarray(Image.open("whole.png")), whole)


def test_a_colour_is_found_in_a_range(scratched: np.ndarray) -> None:
    deep = np.asarray(Image.open("scratch.png"))[..., 0].astype(np.uint16) * 16
    Image.fromarray(deep).save("deep.png")
    done = isthmus.inpaint_files("deep.png", out="whole.png", mask_colour="#ffffff", range=(0, 4080))
    assert done.files[0].missing == pytest.approx(scratched.mean())
    whole = np.asarray(Image.open("whole.png"))
    np.testing.assert_array_equal(whole[~scratched], deep[~scratched])
    assert (whole[scratched] < 3200).all()


@pytest.mark.usefixtures("scratched")
def test_what_is_missing_is_said_in_one_way_and_a_single_file_fails_loudly() -> None:
    with pytest.raises(UsageError, match="in one way") as caught:
        isthmus.inpaint_files("scratch.png", out="x.png")
    assert "find='dead-pixels'" in str(caught.value.hint)
    with pytest.raises(UsageError, match="tolerance"):
        isthmus.inpaint_files("scratch.png", out="x.png", mask_colour="#ffffff", tolerance=-1)
    with pytest.raises(DataError, match="no transparency"):
        isthmus.inpaint_files("scratch.png", out="x.png", mask_alpha=True)
