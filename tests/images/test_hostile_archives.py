"""Archives and arrays whose headers lie: one `DataError`, no hang, no memory beyond what the file holds."""

from __future__ import annotations

import contextlib
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import isthmus
from isthmus.errors import DataError
from isthmus.images.listing import TooManyError, list_images
from isthmus.images.shards import inventory_of, list_inventory


def png(seed: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def tar_of(*members: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def with_size(archive: bytes, field: bytes) -> bytes:
    """The archive with another size field in its first header, and a right checksum."""
    header = bytearray(archive[:512])
    header[124:136] = field.ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + archive[512:]


def base_256(number: int) -> bytes:
    return (number % 2**96).to_bytes(12, "big") if number < 0 else b"\x80" + number.to_bytes(11, "big")


@pytest.mark.parametrize("size", [2**80, 2**63, 10**9, -512, -1024, -(2**70)])
def test_sizes_that_cannot_be(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(with_size(tar_of(("a.png", png(0)), ("b.png", png(1))), base_256(size)))
    with pytest.raises(DataError, match="tar archive"):
        isthmus.read(path)


@pytest.mark.parametrize(
    "headers",
    [
        {"size": "9" * 5000},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9" * 40},
        {"GNU.sparse.map": "1,2,x", "GNU.sparse.size": "-5"},
        {"path": "x" * 400_000},
        {"size": "-512"},
    ],
)
def test_extended_headers_that_lie(tmp_path: Path, headers: dict[str, str]) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.png")
        content = png(0)
        info.size, info.pax_headers = len(content), headers
        archive.addfile(info, io.BytesIO(content))
    with contextlib.suppress(DataError):
        isthmus.read(path)


def test_labels_of_many_digits_and_levels(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    deep = b'{"label": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    path.write_bytes(tar_of(("0.png", png(0)), ("0.cls", b"1" * 5000), ("1.png", png(1)), ("1.json", deep)))
    assert isthmus.read(path).labels is None
    path.write_bytes(tar_of(("0.png", png(0)), ("0.cls", b"1" * 900), ("1.png", png(1)), ("1.cls", b"2")))
    assert isthmus.read(path).classes == ("1" * 900, "2")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_archives_never_raise_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(tar_of(("a.png", png(0)), ("x" * 120 + ".png", png(1))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 2000))] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.tar"
    path.write_bytes(content[: data.draw(st.integers(100, len(content)))])
    try:
        isthmus.read(path)
    except DataError as error:
        assert "\n" not in error.message


@pytest.mark.parametrize("field", ["compress_size", "file_size"])
def test_zip_members_that_lie_about_their_size(tmp_path: Path, field: str) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=np.zeros((4, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    central = content.rindex(b"PK\x01\x02")
    content[central + (20 if field == "compress_size" else 24) :][:4] = b""
    struct.pack_into("<I", content, central + (20 if field == "compress_size" else 24), 0xFFFFFFF0)
    path.write_bytes(content)
    with pytest.raises(DataError):
        isthmus.read(path)


def test_npy_headers_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for shape in (f"({10**30}, 2)", "(" * 3000, f"({'9' * 5000},)", "(-1, 8, 8)", "(1000000000, 1000, 1000)"):
        header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
        path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64)
        with pytest.raises(DataError):
            isthmus.read(path)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("images.npy", path.read_bytes())
    with pytest.raises(DataError):
        isthmus.read(tmp_path / "b.npz")


def test_idx_files_of_65_channels(tmp_path: Path) -> None:
    path = tmp_path / "many-images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, 4]) + struct.pack(">4I", 20, 8, 8, 65) + bytes(20 * 8 * 8 * 65))
    with pytest.raises(DataError, match="65 channels"):
        isthmus.read(path)


def test_a_listing_stops_where_there_is_more_than_was_expected(tmp_path: Path) -> None:
    for index in range(6):
        (tmp_path / f"{index}").mkdir()
        (tmp_path / f"{index}" / "a.png").write_bytes(png(index))
    with pytest.raises(TooManyError):
        list_images(tmp_path, most=3)
    images = isthmus.read(tmp_path)
    assert list_inventory(tmp_path, most=6) == inventory_of([images])
    (tmp_path / "0" / "a.png").rename(tmp_path / "0" / "b.png")
    assert list_inventory(tmp_path, most=6) != inventory_of([images])
