"""`isthmus.inpaint` and `isthmus.inpaint_files`: results, ways to say what is missing, ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

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
            *("--mask-grow", "1"),
            *("-m", "photo-inpaint", "--ensemble", "--range", "0,255", "--compare", "--force"),
            *("--workers", "1", "--max-pixels", "1"),
        ],
        lambda: isthmus.inpaint_files(
            "photos/left",
            out="out",
            mask_colour="#808080",
            tolerance=90,
            mask_grow=1,
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
    inpainted = isthmus.inpaint("scratch.png", "mask.png")
    np.testing.assert_array_equal(inpainted[~scratched], given[~scratched])
    assert (inpainted[scratched] < 200).all()
    (entry,) = isthmus.inpaint_files("scratch.png", mask="mask.png", out="whole.png").files
    assert entry.missing == pytest.approx(scratched.mean())
    np.testing.assert_array_equal(np.asarray(Image.open("whole.png")), inpainted)


def test_a_colour_is_found_in_a_range(scratched: np.ndarray) -> None:
    deep = np.asarray(Image.open("scratch.png"))[..., 0].astype(np.uint16) * 16
    Image.fromarray(deep).save("deep.png")
    done = isthmus.inpaint_files("deep.png", out="whole.png", mask_colour="#ffffff", range=(0, 4080))
    assert done.files[0].missing == pytest.approx(scratched.mean())
    inpainted = np.asarray(Image.open("whole.png"))
    np.testing.assert_array_equal(inpainted[~scratched], deep[~scratched])
    assert (inpainted[scratched] < 3200).all()


@pytest.mark.usefixtures("scratched")
def test_what_is_missing_is_said_in_one_way_and_a_single_file_fails_loudly() -> None:
    with pytest.raises(UsageError, match="exactly one") as caught:
        isthmus.inpaint_files("scratch.png", out="x.png")
    assert "mask=MASK" in str(caught.value.hint)
    with pytest.raises(UsageError, match="tolerance"):
        isthmus.inpaint_files("scratch.png", out="x.png", mask_colour="#ffffff", tolerance=-1)
    with pytest.raises(DataError, match="no transparency"):
        isthmus.inpaint_files("scratch.png", out="x.png", mask_alpha=True)


def test_a_mask_for_all_that_cannot_be_read_is_named_and_nothing_is_written(scratched: np.ndarray) -> None:
    for name, reason in (("none.png", "no such file"), ("broken.png", "not an image")):
        Path("broken.png").write_text("no image")
        with pytest.raises(DataError, match=rf"^its mask {name}: {reason}"):
            isthmus.inpaint("scratch.png", name)
        with pytest.raises(DataError, match=rf"^its mask {name}: {reason}"):
            isthmus.inpaint_files(["scratch.png", "mask.png"], mask=name, out="out")
    assert not Path("out").exists()
    assert scratched.any()


@pytest.mark.usefixtures("scratched")
def test_an_image_whose_mask_is_missing_from_a_folder_is_named_with_it() -> None:
    Path("masks").mkdir()
    Image.open("mask.png").save("masks/scratch.bmp")
    Image.open("scratch.png").save("other.png")
    done = isthmus.inpaint_files(["scratch.png", "other.png"], mask="masks", out="out")
    assert [file.name for file in done.files] == ["scratch.png"]
    (skipped,) = done.skipped
    assert skipped.name == "other.png"
    assert skipped.reason == f"its mask {Path('masks/other.png')}: no such file"


@pytest.mark.usefixtures("scratched")
def test_masks_that_are_hardly_meant_and_lossy_outputs_are_warned_about() -> None:
    Image.new("L", (48, 40)).save("nothing.png")
    done = isthmus.inpaint_files("scratch.png", mask="nothing.png", out="a.png")
    assert [note["id"] for note in done.note_details] == ["inpaint.mask-empty"]
    np.testing.assert_array_equal(np.asarray(Image.open("a.png")), np.asarray(Image.open("scratch.png")))
    done = isthmus.inpaint_files("scratch.png", mask="mask.png", mask_grow=15, out="b.jpg")
    assert [note["id"] for note in done.note_details] == ["inpaint.mask-large", "inpaint.lossy-format"]
    assert done.files[0].missing == pytest.approx(29 * 45 / (40 * 48))
    dots = np.random.default_rng(0).random((40, 48)) < 0.03
    Image.fromarray(np.where(dots, 255, 90).astype(np.uint8)).save("print.png")
    done = isthmus.inpaint_files("print.png", find="dead-pixels", out="c.png")
    assert done.files[0].missing > 0.01
    assert [note["id"] for note in done.note_details] == ["inpaint.many-dead-pixels"]


@pytest.mark.parametrize(("subsampling", "least"), [(2, 30.0), (1, 32.0), (0, 34.0)])
def test_a_colour_drawn_in_a_jpeg_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subsampling: int, least: float
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = astronaut()[:200, :256]
    drawn = photo.copy()
    drawn[90:98, 40:200] = (255, 0, 255)
    Image.fromarray(drawn).save("marked.jpg", quality=85, subsampling=subsampling)
    options: dict[str, Any] = {"mask_colour": "#ff00ff", "tolerance": 40}
    isthmus.inpaint_files("marked.jpg", out="whole.png", **options)
    inpainted = np.asarray(Image.open("whole.png")).astype(float)
    bar = np.s_[86:102, 36:204]
    error = np.square(inpainted[bar] - photo[bar]).mean()
    isthmus.inpaint_files("marked.jpg", out="tight.png", mask_grow=0, **options)
    tight = np.asarray(Image.open("tight.png")).astype(float)
    assert -10 * np.log10(np.square(inpainted - photo).mean() / 255**2) > least
    assert error <= np.square(tight[bar] - photo[bar]).mean()
