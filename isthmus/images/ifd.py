"""Image file directories: the entries of TIFF and EXIF with their bytes as they are (TIFF 6.0, section 2).

Classic TIFF and BigTIFF of both byte orders. Values are not interpreted, so that none is changed.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

Order = Literal["<", ">"]

# Bytes of one value by its type, BigTIFF's types last.
SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_NARROW = {16: 4, 17: 9, 18: 13}  # BigTIFF's types of 8 bytes -> those of classic TIFF with 4
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_MAX_ENTRIES = 2**16
_MAX_VALUE_BYTES = 2**26
_MAX_DIRECTORIES = 100_000


@dataclass(frozen=True)
class Entry:
    """One entry: `count` values of the type `kind`, and their bytes in the file's byte order."""

    tag: int
    kind: int
    count: int
    data: bytes

    def numbers(self, order: str) -> tuple[int, ...]:
        """Its whole numbers; none where it holds others."""
        code = _CODES.get(self.kind)
        return () if code is None else struct.unpack(f"{order}{self.count}{code}", self.data)


@dataclass(frozen=True)
class Directory:
    """The entries of one directory by tag, its byte order (`<` or `>`), and where the next one begins."""

    order: Order
    entries: dict[int, Entry]
    following: int

    def number(self, tag: int, default: int = 0) -> int:
        """The first whole number of an entry."""
        entry = self.entries.get(tag)
        numbers = entry.numbers(self.order) if entry is not None else ()
        return numbers[0] if numbers else default

    def data(self, tag: int) -> bytes | None:
        """The bytes of an entry."""
        entry = self.entries.get(tag)
        return None if entry is None else entry.data


@dataclass(frozen=True)
class DirectoryReader:
    """Reads directories from the stream of a TIFF file, or of an EXIF block, which begins like one."""

    stream: IO[bytes]
    order: Order
    big: bool
    first: int

    @classmethod
    def open(cls, stream: IO[bytes]) -> DirectoryReader:
        """Raises ValueError where the stream does not begin like a TIFF file."""
        stream.seek(0)
        start = stream.read(16)
        orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
        order = orders.get(start[:2])
        if order is None or len(start) < 8:
            raise ValueError("no TIFF header")
        version = struct.unpack(order + "H", start[2:4])[0]
        if version == 43 and len(start) == 16:
            return cls(stream, order, True, struct.unpack(order + "Q", start[8:])[0])
        return cls(stream, order, False, struct.unpack(order + "I", start[4:8])[0])

    def read(self, offset: int, *, only: frozenset[int] | None = None) -> Directory:
        """The directory at `offset`; entries that lie outside of the file or have no known type are left out.

        Args:
            only: tags to read; by default all.

        Raises:
            ValueError: there is none.
        """
        head, size = ("Q", 20) if self.big else ("H", 12)
        count = self._unpack(offset, head)
        if not 0 < count <= _MAX_ENTRIES:
            raise ValueError("no directory")
        offset_of_next = offset + struct.calcsize(self.order + head)
        self.stream.seek(offset_of_next)
        table = self.stream.read(count * size)
        entries: dict[int, Entry] = {}
        for place in range(0, len(table) - size + 1, size):
            entry = self._entry(table[place : place + size], only)
            if entry is not None:
                entries.setdefault(entry.tag, entry)
        try:
            following = self._unpack(offset_of_next + count * size, "Q" if self.big else "I")
        except ValueError:
            following = 0
        return Directory(self.order, entries, following)

    def chain(self, *, only: frozenset[int] | None = None) -> Iterator[Directory]:
        """The directories of the file's pages, in their order; ends at one that cannot be read."""
        visited: set[int] = set()
        offset = self.first
        while offset and offset not in visited and len(visited) < _MAX_DIRECTORIES:
            visited.add(offset)
            try:
                directory = self.read(offset, only=only)
            except ValueError:
                return
            yield directory
            offset = directory.following

    def _entry(self, raw: bytes, only: frozenset[int] | None) -> Entry | None:
        wide = "Q" if self.big else "I"
        tag, kind, count = struct.unpack(self.order + "HH" + wide, raw[: 12 if self.big else 8])
        room = raw[12:] if self.big else raw[8:]
        if kind not in SIZES or (only is not None and tag not in only):
            return None
        size = count * SIZES[kind]
        if size <= len(room):
            return Entry(tag, kind, count, room[:size])
        if size > _MAX_VALUE_BYTES:
            return None
        self.stream.seek(struct.unpack(self.order + wide, room)[0])
        data = self.stream.read(size)
        return Entry(tag, kind, count, data) if len(data) == size else None

    def _unpack(self, offset: int, code: str) -> int:
        size = struct.calcsize(self.order + code)
        try:
            self.stream.seek(offset)
            data = self.stream.read(size)
        except (OverflowError, OSError):
            data = b""
        if len(data) != size:
            raise ValueError("beyond the end of the file")
        return int(struct.unpack(self.order + code, data)[0])


def to_classic(entry: Entry, order: str) -> Entry | None:
    """An entry as classic TIFF can hold it; None where its numbers need 8 bytes."""
    if entry.kind not in _NARROW:
        return entry
    kind = _NARROW[entry.kind]
    try:
        data = struct.pack(f"{order}{entry.count}{_CODES[kind]}", *entry.numbers(order))
    except struct.error:
        return None
    return Entry(entry.tag, kind, entry.count, data)


def pack_directory(entries: list[Entry], order: str, offset: int) -> bytes:
    """A classic directory for the position `offset`, followed by its values; it is the last of its chain."""
    table, values = io.BytesIO(), io.BytesIO()
    start = offset + 2 + 12 * len(entries) + 4
    for entry in sorted(entries, key=lambda item: item.tag):
        if len(entry.data) <= 4:
            room = entry.data.ljust(4, b"\0")
        else:
            room = struct.pack(order + "I", start + values.tell())
            values.write(entry.data + b"\0" * (len(entry.data) % 2))
        table.write(struct.pack(order + "HHI", entry.tag, entry.kind, entry.count) + room)
    return struct.pack(order + "H", len(entries)) + table.getvalue() + b"\0\0\0\0" + values.getvalue()


def long_entry(tag: int, number: int, order: str) -> Entry:
    """An entry of one number of 4 bytes."""
    return Entry(tag, 4, 1, struct.pack(order + "I", number))
