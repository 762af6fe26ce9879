"""Inputs and targets as one set, found by their names."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError
from isthmus.images.batches import Batches
from isthmus.images.pairs import pair_sets, split_pair
from isthmus.images.write import save_image

INPUTS = np.random.default_rng(0).integers(0, 256, (6, 12, 10, 1), dtype=np.uint8)
TARGETS = np.repeat(INPUTS, 3, axis=3) // np.array([1, 2, 3], dtype=np.uint8)


def write(folder: Path, images: np.ndarray, *, suffix: str = ".png", names: str = "abcdef") -> Path:
    for name, image in zip(names, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(folder / f"{name}{suffix}", image)
    return folder


def pack(folder: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w") as file:
        for path in sorted(folder.iterdir()):
            file.add(path, path.name)
    return archive


@pytest.mark.parametrize("kind", ["arrays", "folders", "archives", "lists", "folder and list"])
def test_every_kind_of_set_pairs(tmp_path: Path, kind: str) -> None:
    inputs_folder, two = write(tmp_path / "in", INPUTS), write(tmp_path / "out", TARGETS, suffix=".tif")
    given: dict[str, tuple[object, object]] = {
        "arrays": (INPUTS, TARGETS),
        "folders": (inputs_folder, two),
        "archives": (pack(inputs_folder, tmp_path / "in.tar"), pack(two, tmp_path / "out.tar")),
        "lists": (sorted(inputs_folder.iterdir()), sorted(two.iterdir())),
        "folder and list": (inputs_folder, sorted(two.iterdir())),
    }
    pairs = pair_sets(*map(isthmus.read, given[kind]))
    assert pairs.shape == (12, 10, 4)
    assert (pairs.input_channels, pairs.target_channels) == (1, 3)
    split = split_pair(pairs)
    assert np.array_equal(split[0].stack(range(6)), INPUTS)
    assert np.array_equal(split[1].stack(range(6)), TARGETS)


def test_names_decide_not_places(tmp_path: Path) -> None:
    write(tmp_path / "in", INPUTS[:4], names="abcx")
    write(tmp_path / "out", TARGETS[[5, 1, 0, 2]], names="ybac")
    pairs = pair_sets(isthmus.read(tmp_path / "in"), isthmus.read(tmp_path / "out"))
    assert pairs.names == ("a.png", "b.png", "c.png")
    assert np.array_equal(split_pair(pairs)[1].stack(range(3)), TARGETS[:3])
    assert pairs.notes == ("2 images without a partner left out: x.png, y.png (target)",)


def test_what_cannot_pair_is_named(tmp_path: Path) -> None:
    write(tmp_path / "in", INPUTS[:2], names="ab")
    write(tmp_path / "out", TARGETS[:2], names="cd")
    with pytest.raises(DataError, match=r"no image of .*in has a target of its name in .*out: a.png, c.png"):
        pair_sets(isthmus.read(tmp_path / "in"), isthmus.read(tmp_path / "out"))
    with pytest.raises(DataError, match="0 is 12×10 and its target 0 12×9: the images of a pair"):
        pair_sets(isthmus.read(INPUTS), isthmus.read(TARGETS[:, :, :9]))


def test_sizes_may_differ_from_pair_to_pair_and_samples_widen() -> None:
    sizes = [(8, 9), (10, 7)]
    inputs = [np.full((*size, 1), 3, np.uint8) for size in sizes]
    targets = [np.full((*size, 1), 1000, np.uint16) for size in sizes]
    pairs = pair_sets(isthmus.read(inputs), isthmus.read(targets))
    assert [pairs.image(row).shape for row in range(2)] == [(8, 9, 2), (10, 7, 2)]
    assert pairs.dtype == np.uint16
    assert pairs.image(1)[0, 0].tolist() == [3 * 257, 1000]
    assert [target.shape for target in split_pair(pairs)[1]] == [(8, 9, 1), (10, 7, 1)]


def test_crops_and_turns_are_alike_for_both() -> None:
    images = isthmus.read(np.random.default_rng(1).integers(0, 256, (5, 20, 20, 1), dtype=np.uint8))
    pairs = pair_sets(images, images)
    batches = Batches(pairs, batch=16, seed=3, crop=(8, 8), orientations=8)
    for step in range(3):
        batch = batches(step).images
        assert batch.shape == (16, 2, 8, 8)
        assert np.array_equal(batch[:, 0], batch[:, 1])
