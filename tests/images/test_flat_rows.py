"""Images as rows of an array, `(N, 784)`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isthmus
from isthmus.errors import DataError

ROWS = np.random.default_rng(0).integers(0, 256, (30, 784), dtype=np.uint8)


def test_rows_are_refused_with_the_name_that_reads_them(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", ROWS)
    path = str(tmp_path / "flat.npy")
    with pytest.raises(DataError, match=r"\(30, 784\) is 30 images as rows of 784") as caught:
        isthmus.read(path)
    assert str(caught.value.hint) == f"{path}:28x28, in the shell also --shape 28x28"
    images = isthmus.read(f"{path}:28x28")
    assert images.shape == (28, 28, 1)
    assert np.array_equal(images.stack(range(30)).reshape(30, 784), ROWS)
    assert np.array_equal(isthmus.read(path, shape=(28, 28)).image(3)[..., 0].ravel(), ROWS[3])
    assert np.array_equal(isthmus.read(f"{path}:28x28[3]").image(0)[..., 0].ravel(), ROWS[3])
    model = isthmus.train(f"{path}:28x28", recipe="dense", code="2", steps=2)
    assert model.size == (28, 28)
    assert len(isthmus.embed(model, f"{path}:28x28").vectors) == 30


def test_arrays_of_rows_and_of_labelled_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        isthmus.read(ROWS)
    assert "shape=(28, 28)" in str(caught.value.hint)
    colour = ROWS[:, :768].reshape(30, 768)
    labels = np.arange(30) % 3
    np.savez(tmp_path / "a.npz", x_train=colour, y_train=labels)
    with pytest.raises(DataError) as caught:
        isthmus.read(tmp_path / "a.npz")
    assert str(caught.value.hint).endswith("a.npz:16x16x3, in the shell also --shape 16x16x3")
    images = isthmus.read(f"{tmp_path / 'a.npz'}:train:16x16x3")
    assert images.shape == (16, 16, 3)
    assert np.array_equal(images.image(4).ravel(), colour[4])
    with pytest.raises(DataError, match="images of 28×29 are rows of 812"):
        isthmus.read(ROWS, shape=(28, 29))


def test_one_wide_image_is_still_one_image() -> None:
    assert isthmus.read(ROWS[:, :300]).shape == (30, 300, 1)
    assert isthmus.read(ROWS[None]).shape == (30, 784, 1)
    assert isthmus.read(np.zeros((512, 256), np.uint8)).shape == (512, 256, 1)
