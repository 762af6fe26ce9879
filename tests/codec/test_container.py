"""The file around the symbols: damage is noticed and named, lies are refused before memory is taken."""

from __future__ import annotations

import binascii
import struct
import tracemalloc
import zlib

import numpy as np
import numpy.typing as npt
import pytest

import isthmus
from isthmus.codec import container
from isthmus.codec.container import HEADER_BYTES, CompressedFileError, ContainerHeader
from isthmus.codec.ready import Codec

from .conftest import GOLDEN

FILES = sorted(GOLDEN.glob("*.isth"))
HEADER = ContainerHeader(size=(90, 110), channels=3, quality=5000, tile=32, model=b"12345678", alpha=True)


def made(payloads: bytes = b"payload") -> bytes:
    return container.write_container(
        HEADER, [payloads + bytes([n]) for n in range(len(HEADER.expected_chunks()))]
    )


@pytest.fixture(scope="module")
def twenty(codec: Codec, photo: npt.NDArray[np.uint8]) -> list[bytes]:
    """The golden files, and crops of a photo of many sizes and qualities."""
    results = [path.read_bytes() for path in FILES]
    for number in range(20 - len(results)):
        height, width = 3 + 5 * number, 70 - 5 * number
        crop = photo[9 * number : 9 * number + height, 20 * number : 20 * number + width]
        results.append(isthmus.compress(crop, quality=5 + 8 * number, model=codec.model))
    return results


@pytest.mark.parametrize("number", range(20))
def test_every_flipped_bit_is_noticed(number: int, twenty: list[bytes]) -> None:
    data = bytearray(twenty[number])
    unnoticed = []
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        try:
            container.read_container(bytes(data))
            unnoticed.append(bit)
        except CompressedFileError:
            pass
        data[bit // 8] ^= 1 << bit % 8
    assert unnoticed == []


@pytest.mark.parametrize("number", range(20))
def test_every_truncation_is_noticed(number: int, twenty: list[bytes]) -> None:
    data = twenty[number]
    for length in range(len(data)):
        with pytest.raises(CompressedFileError):
            container.read_container(data[:length])
    with pytest.raises(CompressedFileError, match="1 byte follows"):
        container.read_container(data + b"\0")


def test_what_is_written_is_read() -> None:
    contents = container.read_container(made())
    assert contents.header == HEADER
    assert list(contents.chunks) == HEADER.expected_chunks()
    assert [bytes(v) for v in contents.chunks.values()] == [b"payload" + bytes([n]) for n in range(24)]


def test_the_damaged_chunk_is_named() -> None:
    data = bytearray(made())
    data[data.index(b"payload" + bytes([5]))] ^= 1
    with pytest.raises(CompressedFileError, match="alpha tile 2 does not match its checksum"):
        container.read_container(bytes(data))


@pytest.mark.parametrize("damaged", range(24))
@pytest.mark.parametrize("part", ["payload", "head"])
def test_a_damaged_chunk_costs_itself_only(damaged: int, part: str) -> None:
    data = bytearray(made())
    place = data.index(b"payload" + bytes([damaged]))
    data[place - (0 if part == "payload" else 6)] ^= 16
    contents = container.read_container(bytes(data), keep_going=True)
    assert [(damage.tag, damage.number) for damage in contents.damage] == [HEADER.expected_chunks()[damaged]]
    assert len(contents.chunks) == 23


def test_a_lost_stretch_costs_what_was_in_it() -> None:
    data = made()
    begin, end = data.index(b"payload" + bytes([3])) + 2, data.index(b"payload" + bytes([6])) + 3
    contents = container.read_container(data[:begin] + data[end:], keep_going=True)
    assert [str(damage) for damage in contents.damage] == [
        "alpha tile 1 is damaged or missing",
        "tile 2 is damaged or missing",
        "alpha tile 2 is damaged or missing",
        "tile 3 is damaged or missing",
    ]


def test_a_later_version_is_told_from_damage() -> None:
    data = bytearray(made())
    data[4] = 2
    data[HEADER_BYTES - 4 : HEADER_BYTES] = struct.pack("<I", zlib.crc32(bytes(data[: HEADER_BYTES - 4])))
    with pytest.raises(CompressedFileError, match="later version") as caught:
        container.read_container(bytes(data))
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (60_000, 60_000)}, "megapixels"),
        ({"size": (0, 5)}, "out of range"),
        ({"quality": 99}, "out of range"),
        ({"size": (20_000, 20_000), "tile": 16}, "tiles are more"),
        ({"channels": 2}, "out of range"),
    ],
)
def test_impossible_headers_are_refused(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {
        "size": (9, 9),
        "channels": 3,
        "quality": 5000,
        "tile": 64,
        "model": b"12345678",
    }
    header = ContainerHeader(**{**fields, **change})  # type: ignore[arg-type]
    with pytest.raises(CompressedFileError, match=message):
        container.read_container(container.pack_header(header))


def test_a_promise_of_many_pixels_takes_no_memory() -> None:
    header = container.pack_header(
        ContainerHeader(size=(22_000, 22_000), channels=3, quality=5000, tile=512, model=b"12345678")
    )
    tracemalloc.start()
    with pytest.raises(CompressedFileError, match="tile 0 is missing"):
        container.read_container(header)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


@pytest.mark.parametrize("data", [b"", b"\x89IST", b"\x89PNG\r\n\x1a\n" + bytes(40), bytes(1000)])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(CompressedFileError):
        container.read_container(data)


def test_heads_of_overlapping_chunks_do_not_take_for_ever() -> None:
    # Every twelve bytes a well-made head of a chunk that reaches almost to the end and has a wrong checksum.
    header = ContainerHeader(size=(4096, 4096), channels=3, quality=5000, tile=64, model=b"12345678")
    count = 4000
    length = 12 * count - 24
    start = struct.pack("<cH3sI", b"T", 0, length.to_bytes(3, "little"), 7)
    head = start + struct.pack("<H", binascii.crc_hqx(start, 0xFFFF))
    contents = container.read_container(container.pack_header(header) + head * count, keep_going=True)
    assert len(contents.chunks) == 0
