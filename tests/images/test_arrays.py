"""Arrays and array files: which shapes and samples are taken, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus.errors import DataError
from isthmus.images.arrays import from_array, read_npy, read_npz


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((5, 6), (1, 5, 6, 1)),
        ((5, 6, 3), (1, 5, 6, 3)),
        ((5, 6, 4), (1, 5, 6, 4)),
        ((5, 6, 1), (1, 5, 6, 1)),
        ((5, 6, 7), (5, 6, 7, 1)),
        ((5, 6, 2), (5, 6, 2, 1)),
        ((5, 6, 3, 2), (5, 6, 3, 2)),
    ],
)
def test_shapes(given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    array = np.arange(np.prod(given), dtype=np.uint8).reshape(given)
    images = from_array(array)
    assert isinstance(images.pixels, np.ndarray)
    assert images.pixels.shape == expected
    assert np.array_equal(images.pixels.reshape(-1), array.reshape(-1))


def test_tensors_are_channels_first() -> None:
    tensor = torch.arange(2 * 3 * 4 * 5, dtype=torch.uint8).view(2, 3, 4, 5)
    images = from_array(tensor, torch.tensor([1, 0]))
    assert images.shape == (4, 5, 3)
    assert np.array_equal(images.image(1)[..., 2], tensor[1, 2].numpy())
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0]
    assert from_array(torch.rand(1, 1, 2, 2, dtype=torch.bfloat16)).dtype == np.float32
    with pytest.raises(DataError, match=r"\(N, C, H, W\)"):
        from_array(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8"])
def test_floats_become_float32(dtype: str) -> None:
    images = from_array(np.array([[0, 0.5, 1]], dtype=dtype))
    assert images.dtype == np.float32
    assert images.image(0)[0, :, 0].tolist() == [0, 0.5, 1]


def test_integers_keep_their_type_and_bits_become_black_and_white() -> None:
    for dtype in ("u1", "<u2", ">u2"):
        images = from_array(np.array([[0, 200]], dtype=dtype))
        assert images.dtype == np.dtype(dtype).newbyteorder("=")
        assert images.image(0)[0, :, 0].tolist() == [0, 200]
    assert from_array(np.array([[True, False]])).image(0)[0, :, 0].tolist() == [255, 0]


def test_large_arrays_are_not_copied() -> None:
    array = np.zeros((4, 5, 6, 3), np.uint8)
    assert np.shares_memory(from_array(array).pixels, array)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([[0.0, np.nan]]), "NaN"),
        (np.array([[0.0, np.inf]]), "infinity"),
        (np.array([[0.0, 255.0]]), r"\[0, 1\].*\[0, 255\]"),
        (np.array([[-0.5, 0.5]]), r"\[0, 1\]"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (np.array([["a", "b"]]), "<U1"),
        (np.array([[{}]], dtype=object), "object"),
        (np.zeros(5, np.uint8), r"\(N, H, W\)"),
        (np.zeros((1, 1, 1, 1, 1), np.uint8), r"\(N, H, W\)"),
        (np.zeros((0, 4, 4), np.uint8), "no images"),
        (np.zeros((2, 4, 4, 65), np.uint8), r"65 channels in \(2, 4, 4, 65\), not 1 to 64"),
    ],
)
def test_what_is_no_image_is_refused(array: np.ndarray, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        from_array(array)


def test_hints_lead_on() -> None:
    for array, hint in [
        (np.array([[0.0, 255.0]]), "range=(0, 255)"),
        (np.array([[-1.0, 1.0]]), "range=(-1, 1)"),
        (np.array([[-3.5, 9e5]]), "range=(-4, 900000)"),
        (np.zeros((2, 2), np.int64), "range=(0, 255)"),
        (np.zeros((9, 3, 32, 32), np.uint8), "moveaxis"),
    ]:
        with pytest.raises(DataError) as caught:
            from_array(array)
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([0, 1], "3 images but 2 labels"),
        ([0.0, 1.0, 2.0], "whole numbers"),
        ([[0], [1], [2]], "whole numbers"),
        ([0, 1, -1], "0..65535"),
        ([0, 1, 10**9], "0..65535"),
    ],
)
def test_labels_that_do_not_fit(labels: list[object], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        from_array(np.zeros((3, 9, 9), np.uint8), labels)


def test_npy_and_npz_round_trips(tmp_path: Path) -> None:
    pixels = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    np.save(tmp_path / "a.npy", pixels)
    np.savez(tmp_path / "a.npz", images=pixels, labels=np.array([1, 0, 1], np.uint8))
    np.savez_compressed(tmp_path / "b.npz", images=np.asfortranarray(pixels))
    expected = from_array(pixels).fingerprint()
    assert read_npy(tmp_path / "a.npy").fingerprint() == expected
    assert read_npz(tmp_path / "b.npz").fingerprint() == expected
    both = read_npz(tmp_path / "a.npz")
    assert both.fingerprint() == expected
    assert both.labels is not None
    assert both.labels.tolist() == [1, 0, 1]
    assert both.source == str(tmp_path / "a.npz")


def test_a_large_npy_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    np.save(tmp_path / "a.npy", pixels)
    monkeypatch.setattr("isthmus.images.arrays.memory_bytes", lambda: 100)
    mapped = read_npy(tmp_path / "a.npy")
    assert mapped.memory_mapped
    assert mapped.fingerprint() == from_array(pixels).fingerprint()


def pickled(path: Path) -> None:
    np.save(path, np.array([[{}]], dtype=object), allow_pickle=True)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    pickled(tmp_path / "a.npy")
    with pytest.raises(DataError, match=r"not a readable \.npy"):
        read_npy(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "images.npy")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        read_npz(tmp_path / "a.npz")


def npy(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04 not a zip",
        npy((10**6, 10**4, 10**4), b"\0" * 50),
        npy((-3, 4), b"\0" * 50),
        npy((9, 9), b"\0" * 50),
    ],
    ids=["empty", "text", "cut", "zip", "huge", "negative", "short"],
)
def test_damaged_and_lying_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.npy: (not a readable \.npy|no images)") as caught:
        read_npy(tmp_path / "a.npy")
    assert "\n" not in caught.value.message
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", data)
    with pytest.raises(DataError, match=r"a\.npz: (not a readable \.npz|no images)"):
        read_npz(tmp_path / "a.npz")


def test_npz_without_images_says_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3), y=np.zeros(3))
    with pytest.raises(DataError, match="no array 'images' in it; it holds x, y"):
        read_npz(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", images=np.zeros((3, 8, 9), np.uint8), labels=np.zeros(4, np.int64))
    with pytest.raises(DataError, match="3 images but 4 labels"):
        read_npz(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"not a readable \.npz"):
        read_npz(tmp_path / "c.npz")
