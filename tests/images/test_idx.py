"""idx files: what is written is read; what lies is refused before memory is taken."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus.errors import DataError
from isthmus.images.idx import find_label_file, is_idx, read_idx, read_idx_set, write_idx


def header(*sizes: int, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=6)), st.sampled_from(["", ".gz"]))
def test_round_trip(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    assume(array.ndim < 4 or array.shape[3] <= 4)  # more channels are refused
    path = tmp_path / f"a-ubyte{suffix}"
    write_idx(path, array)
    assert np.array_equal(read_idx(path), array)
    first = path.read_bytes()
    write_idx(path, array)
    assert path.read_bytes() == first


def test_the_format_is_mnists(tmp_path: Path) -> None:
    write_idx(tmp_path / "a", np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    assert (tmp_path / "a").read_bytes() == bytes.fromhex("00000803 00000001 00000002 00000003 000102030405")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an idx file"),
        (b"text, not idx", "not an idx file"),
        (header(2, 2, kind=0x0D) + b"\0" * 16, "only unsigned bytes"),
        (b"\0\0\x08\x03\0\0", "cut short"),
        (header(0, 28, 28), "impossible size"),
        (header(1, 2**31, 2**31), "impossible size"),
        (header(2**32 - 1, 5000, 5000) + b"x" * 10, "more than the file can hold"),
        (header(3, 2, 2) + b"x" * 11, "only 11|more than the file can hold"),
        (header(3, 2, 2) + b"x" * 13, "holds more"),
        (header(300, 20, 20) + b"x" * 500, "only 500|more than the file can hold"),
    ],
)
def test_lying_headers_cost_no_memory(tmp_path: Path, data: bytes, reason: str, zipped: bool) -> None:
    path = tmp_path / "a-images-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if zipped else data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=reason) as caught:
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in caught.value.message


def test_a_gzip_bomb_stops_at_the_promised_size(tmp_path: Path) -> None:
    path = tmp_path / "a-ubyte.gz"
    path.write_bytes(gzip.compress(header(10, 10, 10) + b"\0" * 50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="holds more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_damaged_gzip_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "a-ubyte.gz"
    write_idx(path, np.random.default_rng(0).integers(0, 256, (50, 9, 9), dtype=np.uint8))
    content = path.read_bytes()
    for damaged in (content[:-20], content[:200], content[:300] + b"\xff" * 50 + content[350:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError):
            read_idx(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "missing-ubyte")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("form", ["train-{}-ubyte", "train-{}.ubyte"])
def test_labels_are_found_beside(tmp_path: Path, suffix: str, form: str) -> None:
    images = tmp_path / form.format("images-idx3")
    write_idx(images, np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    assert find_label_file(images) is None
    assert read_idx_set(images).labels is None
    write_idx(tmp_path / (form.format("labels-idx1") + suffix), np.array([2, 0, 2], np.uint8))
    images_read = read_idx_set(images)
    assert images_read.labels is not None
    assert images_read.labels.tolist() == [2, 0, 2]
    assert images_read.classes == ("0", "1", "2")
    assert images_read.shape == (2, 2, 1)
    assert images_read.names == ("0", "1", "2")


def test_labels_of_another_length_and_labels_as_images(tmp_path: Path) -> None:
    write_idx(tmp_path / "t-images-idx3-ubyte", np.zeros((3, 2, 2), np.uint8))
    write_idx(tmp_path / "t-labels-idx1-ubyte", np.zeros(4, np.uint8))
    with pytest.raises(DataError, match="4 labels for 3 images"):
        read_idx_set(tmp_path / "t-images-idx3-ubyte")
    with pytest.raises(DataError, match="not images"):
        read_idx_set(tmp_path / "t-labels-idx1-ubyte")


def test_names_of_idx_files() -> None:
    yes = ("train-images-idx3-ubyte", "T10K-images-idx3-ubyte.gz", "a.idx3-ubyte", "a.idx", "a.idx3.gz")
    assert all(is_idx(name) for name in yes)
    assert not any(is_idx(name) for name in ("a.png", "ubyte.png", "a.npz"))
