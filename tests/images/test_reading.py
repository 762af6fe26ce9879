"""One entry for every kind of DATA."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.errors import DataError, UsageError
from isthmus.images.idx import write_idx
from isthmus.images.reading import read

from .files import bomb, photo, save


@pytest.fixture
def pixels() -> np.ndarray:
    return np.stack([photo(8, 9, 1, seed=i) for i in range(4)])


def test_every_kind_of_data_gives_the_same_set(tmp_path: Path, pixels: np.ndarray) -> None:
    for i, image in enumerate(pixels):
        save(tmp_path / f"folder/{i}.png", image)
    write_idx(tmp_path / "a-images-idx3-ubyte.gz", pixels[..., 0])
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "a.npz", images=pixels)
    sources = [
        tmp_path / "folder",
        str(tmp_path / "a-images-idx3-ubyte.gz"),
        tmp_path / "a.npy",
        tmp_path / "a.npz",
        pixels,
        pixels[..., 0],
        torch.from_numpy(pixels).permute(0, 3, 1, 2),
        read(pixels),
    ]
    assert len({read(source).fingerprint() for source in sources}) == 1
    assert read(str(tmp_path / "folder")).source == str(tmp_path / "folder")


def test_a_single_image_is_a_set_of_one(tmp_path: Path) -> None:
    image = photo(5, 7)
    images = read(save(tmp_path / "Ünï.png", image))
    assert images.names == ("Ünï.png",)
    assert np.array_equal(images.image(0), image)
    with pytest.raises(DataError, match="megapixels"):
        read(bomb(tmp_path / "b.png", 50_000, 50_000))
    with pytest.raises(DataError, match="megapixels"):
        read(tmp_path / "Ünï.png", max_pixels=34)


def test_an_empty_name_is_not_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.png", photo(5, 5))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="DATA is empty"):
        read("")  # what a shell makes of a variable that is not set
    assert len(read(".")) == 1


def test_a_path_wins_over_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "fashion-sample/a.png", photo(5, 5))
    assert len(read("fashion-sample:test")) == 2000
    monkeypatch.chdir(tmp_path)
    assert len(read("fashion-sample")) == 1


def test_misspelt_names_and_missing_paths() -> None:
    with pytest.raises(DataError, match="did you mean 'mnist'"):
        read("mnits")
    with pytest.raises(DataError, match="did you mean 'cifar10'"):
        read("cifar-10:test")
    with pytest.raises(DataError, match="no such file, folder or named data set") as caught:
        read("some/quite/other/place.png")
    assert "did you mean" not in caught.value.message
    with pytest.raises(DataError, match="cannot read images from a dict"):
        read({})


@pytest.mark.parametrize("kind", ["array", "npy", "folder"])
def test_size_and_channels_hold_for_every_kind(tmp_path: Path, pixels: np.ndarray, kind: str) -> None:
    np.save(tmp_path / "a.npy", pixels)
    for i, image in enumerate(pixels):
        save(tmp_path / f"d/{i}.png", image)
    data = {"array": pixels, "npy": tmp_path / "a.npy", "folder": tmp_path / "d"}[kind]
    images = read(data, size=(4, 6), channels=3)
    assert images.shape == (4, 6, 3)
    assert images.fingerprint() == read(pixels, size=(4, 6), channels=3).fingerprint()
    with pytest.raises(UsageError, match="channels"):
        read(data, channels=2)


def test_labels_given_replace_those_found(tmp_path: Path, pixels: np.ndarray) -> None:
    for i, image in enumerate(pixels):
        save(tmp_path / f"d/{'ab'[i % 2]}/{i}.png", image)
    images = read(tmp_path / "d", labels=[3, 2, 1, 0])
    assert images.labels is not None
    assert images.labels.tolist() == [3, 2, 1, 0]
    with pytest.raises(DataError, match="4 images but 3 labels"):
        read(tmp_path / "d", labels=[0, 1, 2])
    with pytest.raises(DataError, match="4 images but 5 labels"):
        read(pixels, labels=np.zeros(5, np.int64))


def test_reading_needs_no_torch() -> None:
    code = "import sys, isthmus; isthmus.read('fashion-sample:test'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
