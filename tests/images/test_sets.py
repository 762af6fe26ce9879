"""Sets from lists, parts of sets by name, and an ImageSet as a sequence."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.images.reading import read_image
from isthmus.images.store import ImageSet, Ragged

DIGITS = np.random.default_rng(1).integers(0, 256, (12, 7, 8), dtype=np.uint8)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("t.npy", DIGITS)
    for index, image in enumerate(DIGITS[:4]):
        Path(f"d/{index % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(f"d/{index % 2}/{index}.png")
    return tmp_path


def test_lists_of_everything_in_order(place: Path) -> None:
    colour = np.dstack([DIGITS[5]] * 3)
    images = isthmus.read(
        [
            "d/0/2.png",
            DIGITS[0],
            Image.fromarray(DIGITS[1]),
            (place / "d/1/3.png").read_bytes(),
            torch.from_numpy(DIGITS[6:8])[:, None],
            "d",
            isthmus.read(DIGITS[8:9]),
            "t.npy[-1]",
        ]
    )
    expected_rows = [2, 0, 1, 3, 6, 7, 0, 2, 1, 3, 8, 11]
    assert [
        int(np.flatnonzero((image[..., 0] == DIGITS).all((1, 2)))[0]) for image in images
    ] == expected_rows
    assert images.names[0] == "d/0/2.png" and images.names[1] == "1" and images.names[6] == "d/0/0.png"
    assert images.shape == (7, 8, 1) and images.labels is None
    mixed = isthmus.read((DIGITS[0], colour[:3]))
    assert isinstance(mixed.pixels, Ragged) and mixed.channels == 3
    assert np.array_equal(mixed.image(0), np.dstack([DIGITS[0]] * 3))
    assert np.array_equal(mixed.image(1), colour[:3])


@pytest.mark.usefixtures("place")
def test_lists_of_files_leave_broken_ones_out() -> None:
    Path("bad.png").write_bytes(b"nothing")
    images = isthmus.read(["d/0/0.png", "bad.png", "d/1/1.png"])
    assert images.names == ("d/0/0.png", "d/1/1.png")
    assert [skipped.name for skipped in images.skipped] == ["bad.png"]
    mixed = isthmus.read(["d/0/0.png", "bad.png", DIGITS[3]])
    assert len(mixed) == 2 and [skipped.name for skipped in mixed.skipped] == ["bad.png"]
    for nothing in (["bad.png"], [b"bad"], []):
        with pytest.raises(DataError, match=r"can be read|empty list"):
            isthmus.read(nothing)


@pytest.mark.usefixtures("place")
def test_labels_stay_where_all_parts_have_them() -> None:
    both = isthmus.read(["d", "d"])
    assert both.labels is not None and both.labels.tolist() == [0, 0, 1, 1] * 2
    assert both.classes == ("0", "1")
    assert both.fingerprint() == isthmus.read(np.concatenate([DIGITS[:4], DIGITS[:4]])).fingerprint()


def test_types_are_widened_and_nothing_is_lost() -> None:
    deep = DIGITS[0].astype(np.uint16) * 257
    both = isthmus.read([DIGITS[0], deep])
    assert both.dtype == np.uint16 and np.array_equal(both.image(0), both.image(1))
    floats = isthmus.read([DIGITS[0], DIGITS[0] / 255, deep])
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats.image(0), floats.image(1), atol=1e-7)


@pytest.mark.parametrize(("index", "row"), [("0", 0), ("5", 5), ("-1", 11), ("-12", 0)])
def test_one_image_by_its_number(place: Path, index: str, row: int) -> None:
    assert np.array_equal(read_image(f"t.npy[{index}]")[..., 0], DIGITS[row])
    assert np.array_equal(read_image(place / f"t.npy[{index}]")[..., 0], DIGITS[row])


@pytest.mark.usefixtures("place")
def test_names_with_a_split_and_ranges_of_images() -> None:
    all_images = isthmus.read("fashion-sample:test")
    assert np.array_equal(read_image("fashion-sample:test[17]"), all_images[17])
    part = isthmus.read("fashion-sample:test[10:20]")
    assert part.fingerprint() == all_images[10:20].fingerprint()
    assert part.names == all_images.names[10:20] and part.source == "fashion-sample:test[10:20]"
    assert len(isthmus.read("t.npy[:3]")) == 3 and len(isthmus.read("t.npy[-2:]")) == 2
    assert len(isthmus.read("d[1:]")) == 3


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", ["t.npy[12]", "t.npy[-13]", "t.npy[]", "t.npy[20:30]"])
def test_a_number_that_is_not_there_is_refused_with_how_many_there_are(name: str) -> None:
    with pytest.raises(DataError, match="12 images"):
        isthmus.read(name)


@pytest.mark.usefixtures("place")
def test_a_file_that_is_called_like_that_wins() -> None:
    np.save("t.npy[5]", DIGITS[:2])
    Path("t.npy[5].npy").rename("t.npy[5]")
    Image.fromarray(DIGITS[9]).save("t.npy[5]", "PNG")
    assert np.array_equal(read_image("t.npy[5]")[..., 0], DIGITS[9])


@pytest.mark.usefixtures("place")
def test_several_images_where_one_is_needed() -> None:
    with pytest.raises(DataError, match="expected one image, but it holds 12") as caught:
        read_image("t.npy")
    assert str(caught.value.hint) == "t.npy[0]"


@pytest.fixture(params=["array", "ragged", "mapped"])
def images(request: pytest.FixtureRequest, place: Path) -> ImageSet:
    if request.param == "ragged":
        mapped = np.load(place / "t.npy", mmap_mode="r")[..., None]
        part = ImageSet(mapped, tuple(map(str, range(12)))).subset(range(12))
        assert isinstance(part.pixels, Ragged)
        return part
    if request.param == "mapped":
        return ImageSet(np.load(place / "t.npy", mmap_mode="r")[..., None], tuple(map(str, range(12))))
    return isthmus.read(DIGITS, labels=np.arange(12) % 3)


def test_an_image_set_is_a_sequence(images: ImageSet) -> None:
    assert np.array_equal(images[3][..., 0], DIGITS[3])
    assert np.array_equal(images[-1][..., 0], DIGITS[11])
    assert np.array_equal(images[np.int64(2)][..., 0], DIGITS[2])
    assert np.array_equal(np.stack(list(images))[..., 0], DIGITS)
    for index in (slice(2, 5), slice(None, None, -2), [1, 2], [-1, 0], np.arange(12) > 7, [], [False] * 12):
        part = images[index]
        rows = np.arange(12)[index if isinstance(index, slice) or len(index) else slice(0)]
        assert isinstance(part, ImageSet) and part.names == tuple(images.names[i] for i in rows)
        assert all(np.array_equal(image[..., 0], DIGITS[row]) for image, row in zip(part, rows, strict=True))
        if images.labels is not None:
            assert part.labels is not None and part.labels.tolist() == (rows % 3).tolist()
    for bad in (12, -13, [0, 12], [True, False], "3", 1.5):
        with pytest.raises(IndexError):
            images[bad]  # type: ignore[index]


def test_it_shows_itself_in_one_line_and_as_a_picture(images: ImageSet) -> None:
    assert "12 images, 7×8 gray, uint8" in repr(images) and "\n" not in repr(images)
    assert len(repr(images)) < 200
    shown = images._repr_html_()
    data = base64.b64decode(shown.partition("base64,")[2].partition('"')[0])
    with Image.open(io.BytesIO(data)) as sheet:
        assert sheet.width == 8 * 96 + 7 * 2 and sheet.height == 2 * 84 + 2  # ×12, so that pixels are seen


def test_a_large_set_shows_24_thumbnails() -> None:
    many = isthmus.read(np.zeros((100, 300, 200, 3), np.uint8))
    shown = many._repr_html_()
    assert "the first 24 of 100" in shown and len(shown) < 20_000
    assert "mixed sizes" in repr(isthmus.read([DIGITS[0], DIGITS[0][:3]]))
