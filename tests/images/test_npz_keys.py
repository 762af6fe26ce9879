"""`.npz` files as people's tools write them: keys, parts, class names, shapes of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError

IMAGES = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7)
LABELS = np.array([2, 0, 1, 2, 0, 1])


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def test_class_names_are_read_in_their_own_order(tmp_path: Path) -> None:
    names = np.array(["10", "9", "a/b"])
    images = isthmus.read(save(tmp_path / "a.npz", images=IMAGES, labels=LABELS, classes=names))
    assert images.classes == ("10", "9", "a/b")
    assert images.labels is not None
    assert images.labels.tolist() == LABELS.tolist()


def test_labels_may_be_words(tmp_path: Path) -> None:
    words = np.array(["dog", "cat", "dog", "emu", "cat", "emu"])
    images = isthmus.read(save(tmp_path / "a.npz", images=IMAGES, labels=words))
    assert images.classes == ("cat", "dog", "emu")
    assert images.labels is not None
    assert [images.classes[label] for label in images.labels] == words.tolist()


def test_names_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", images=IMAGES, labels=LABELS, classes=np.array(["a", "b"]))
    with pytest.raises(DataError, match="a label is 2, and there are 2 class names"):
        isthmus.read(path)
    path = save(tmp_path / "b.npz", images=IMAGES, labels=LABELS, classes=np.zeros((3, 2)))
    with pytest.raises(DataError, match="class names must be"):
        isthmus.read(path)


@pytest.mark.parametrize("keys", ["{}_images {}_labels", "x_{} y_{}", "X_{} y_{}"])
def test_parts_of_a_data_set(tmp_path: Path, keys: str) -> None:
    arrays = {}
    for place, part in enumerate(("train", "test")):
        images, labels = keys.replace("{}", part).split()
        arrays[images] = IMAGES[place * 2 : place * 2 + 4]
        arrays[labels] = LABELS[place * 2 : place * 2 + 4].reshape(-1, 1)  # as MedMNIST has them
    path = save(tmp_path / "set.npz", **arrays)
    train, test = isthmus.read(path), isthmus.read(f"{path}:test")
    for part_read, start in ((train, 0), (isthmus.read(f"{path}:train"), 0), (test, 2)):
        assert np.array_equal(part_read.stack(range(4))[..., 0], IMAGES[start : start + 4])
        assert part_read.labels is not None
        assert part_read.labels.tolist() == LABELS[start : start + 4].tolist()
    assert [note.id for note in train.notes] == ["reading.npz-part"]  # type: ignore[attr-defined]
    assert f"{path}:test" in train.notes[0]
    assert np.array_equal(isthmus.read(f"{path}:test[1]").image(0)[..., 0], IMAGES[3])
    with pytest.raises(DataError, match="no part 'val' in it"):
        isthmus.read(f"{path}:val")


def test_a_single_array_of_any_name_is_the_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", IMAGES)
    assert len(isthmus.read(tmp_path / "a.npz")) == 6
    path = save(tmp_path / "b.npz", codes=IMAGES, weights=IMAGES)
    with pytest.raises(DataError, match=r"no array 'images' in it; it holds codes, weights"):
        isthmus.read(path)


def test_several_labels_of_an_image_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    images = isthmus.read(save(tmp_path / "a.npz", images=IMAGES, labels=np.eye(6, dtype=int)))
    assert images.labels is None
    assert "several labels per image (6 of each)" in images.notes[0]


def test_labelled_images_are_written_and_read_back(tmp_path: Path) -> None:
    from isthmus.images.outputs import write_images

    pixels = IMAGES[..., None]
    write_images(tmp_path / "a.npz", pixels, labels=LABELS, classes=("b", "é", "a"))
    images = isthmus.read(tmp_path / "a.npz")
    assert images.classes == ("b", "é", "a")
    assert images.labels is not None
    assert images.labels.tolist() == LABELS.tolist()
    assert np.array_equal(images.stack(range(6)), pixels)
