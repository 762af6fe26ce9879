"""The files of a folder, looked at one by one, then decoded in runs: small ones many at a time.

Opening a PNG of a few hundred bytes with Pillow costs several times what its pixels do, so small plain PNG
files are read in one go and decoded many at a time. A file is plain when it is an 8-bit gray or RGB image,
not interlaced, every checksum is right, and all other chunks change nothing here (PNG, third edition,
sections 5 and 11). Other files, and broken ones, are left to `formats`, which decides what can be read and
why not.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from struct import Struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.formats import Header, decode, glance
from isthmus.images.listing import ImageFile
from isthmus.images.opening import MAX_PIXELS, ImageFileError, read_small
from isthmus.images.pool import Progress
from isthmus.images.sample_range import Range
from isthmus.images.store import Pixels, Skipped
from isthmus.messages import Message

MOST_PIXELS = 2**15
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_IHDR = Struct(">I4sIIBBBBBI")
_CHUNK = Struct(">I4s")
_CRC = Struct(">I")
_CHANNELS = {0: 1, 2: 3}
_MODES = {1: "L", 3: "RGB"}
# Resolution, time and hints about colour, which no reader here heeds, and the least bytes each must have.
_LEAST_BYTES = {b"pHYs": 9, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"tIME": 7, b"bKGD": 0, b"sBIT": 0}
# Keywords of text (PNG, section 11.3.3, and ImageMagick's); others may hold EXIF or a profile.
_REMARKS = frozenset(
    {b"Title", b"Author", b"Description", b"Copyright", b"Creation Time", b"Software", b"Source", b"Comment"}
    | {b"date:create", b"date:modify", b"date:timestamp"}
)


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain file: what its header says, and its compressed rows (empty where they are to be read again)."""

    header: Header
    data: bytes


def read_plain(content: bytes, *, max_pixels: int) -> Plain | None:
    """The header and compressed rows in a file's bytes; None unless it is plain and within `max_pixels`."""
    if not content.startswith(_SIGNATURE) or not content.endswith(_END):
        return None
    if len(content) < 57:  # signature, IHDR, an empty IDAT and IEND
        return None
    *start, width, height, bits, colour, method, filters, interlaced, crc = _IHDR.unpack_from(content, 8)
    if start != [13, b"IHDR"] or (bits, method, filters, interlaced) != (8, 0, 0, 0):
        return None
    if colour not in _CHANNELS or not 0 < width * height <= min(MOST_PIXELS, max_pixels):
        return None
    if crc != zlib.crc32(content[12:29]):
        return None
    data = _compressed_rows(content)
    return None if data is None else Plain(_header(height, width, _CHANNELS[colour]), data)


def decode_plain(several: Sequence[Plain]) -> Pixels:
    """(n, H, W, C) uint8 from plain files of one size and colour.

    Filters are undone by Pillow's own decoder, in one pass over all images: they stand below one another as
    if they were one, with an empty row above each, for the row above the first counts as zeros (PNG, section
    9.2).

    Raises:
        ValueError: the rows of one of them are damaged.
    """
    header = several[0].header
    size = header.height * (1 + header.width * header.channels)
    above = bytes(1 + header.width * header.channels)
    rows = []
    for png in several:
        stream = zlib.decompressobj()
        try:
            unpacked = stream.decompress(png.data, size + 1)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(unpacked) != size or not stream.eof or stream.unused_data:
            raise ValueError("another number of rows than the header says")
        rows += [above, unpacked]
    tall = len(several) * (header.height + 1)
    mode = _MODES[header.channels]
    try:
        stacked = Image.frombytes(mode, (header.width, tall), zlib.compress(b"".join(rows), 0), "zip", mode)
    except OSError as error:
        raise ValueError(str(error)) from None
    pixels = np.asarray(stacked).reshape(len(several), header.height + 1, header.width, header.channels)
    return np.ascontiguousarray(pixels[:, 1:])


def _compressed_rows(content: bytes) -> bytes | None:
    """The IDAT chunks' data, if they come last, all checksums are right and the other chunks are harmless."""
    parts: list[bytes] = []
    offset, end = 33, len(content) - len(_END)
    while offset < end:
        if end - offset < 12:
            return None
        length, kind = _CHUNK.unpack_from(content, offset)
        last = offset + 8 + length
        if last + 4 > end or _CRC.unpack_from(content, last)[0] != zlib.crc32(content[offset + 4 : last]):
            return None
        if kind == b"IDAT":
            parts.append(content[offset + 8 : last])
        elif parts or not _harmless(kind, content[offset + 8 : last]):
            return None
        offset = last + 4
    return (parts[0] if len(parts) == 1 else b"".join(parts)) or None


def _harmless(kind: bytes, body: bytes) -> bool:
    if kind == b"tEXt":
        return body.partition(b"\0")[0] in _REMARKS
    return kind in _LEAST_BYTES and len(body) >= _LEAST_BYTES[kind]


@lru_cache(maxsize=64)
def _header(height: int, width: int, channels: int) -> Header:
    return Header(
        height=height,
        width=width,
        channels=channels,
        dtype=np.dtype(np.uint8),
        format="PNG",
        transparent=False,
        narrowed=False,
        several=False,
    )


KEPT_BYTES = 2**27  # of small files, between the look and the decoding
TINY_PIXELS = 2**12  # decoding as many takes less than opening a file does
RUN_SAMPLES = 2**18  # decoded by one thread before it hands them over


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How files are read.

    Attributes:
        size: (h, w), every image resized to cover it and cut to its centre.
        channels: 1 or 3, to force gray or colour.
        max_pixels: larger images are skipped, from their header.
        map_above: bytes of pixels above which they go to a memory-mapped file in the cache folder and are
            reused while the files' names, sizes and times stay the same; default a quarter of the memory.
        cache: a folder of its own for that file, which is then made however few the pixels are.
        value_range: the samples that stand for black and white; all images are float32 then.
        progress: called with (done, total) after each file.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    max_pixels: int = MAX_PIXELS
    map_above: int | None = None
    cache: str | os.PathLike[str] | None = None
    value_range: Range | None = None
    progress: Progress | None = None


@dataclass(frozen=True)
class Looked:
    """Files whose headers could be read, and the others.

    Attributes:
        files, headers: those that could.
        early: what was read beyond the header: the compressed rows of a plain file, else the pixels of a
            tiny one or why it has none, else None.
        skipped: those that could not, each with its reason.
    """

    files: list[ImageFile]
    headers: list[Header]
    early: list[Plain | Pixels | str | None]
    skipped: list[Skipped]


def look(files: Sequence[ImageFile], options: ReadOptions) -> Looked:
    """Read the header of every file, and all that is in small ones."""
    scan = Looked([], [], [], [])
    held_bytes = 0
    for file in files:
        early: Plain | Pixels | str | None
        content = read_small(file.source)
        if (
            content
            and options.value_range is None
            and (plain := read_plain(content, max_pixels=options.max_pixels))
        ):
            header = plain.header
            held_bytes += len(plain.data)
            early = plain if held_bytes <= KEPT_BYTES else replace(plain, data=b"")
        else:
            tiny = TINY_PIXELS if held_bytes <= KEPT_BYTES else 0
            try:
                header, early = glance(
                    file.source,
                    content,
                    most_pixels=tiny,
                    max_pixels=options.max_pixels,
                    value_range=options.value_range,
                    bands=True,
                )
            except ImageFileError as error:
                scan.skipped.append(Skipped(file.name, error.reason))
                continue
            held_bytes += early.nbytes if isinstance(early, np.ndarray) else 0
        scan.files.append(file)
        scan.headers.append(header)
        scan.early.append(early)
    return scan


@dataclass(frozen=True)
class Runs:
    """How the files are decoded: all with `channels` and `dtype`, fitted to `size` where one is given.

    With `afresh` every file is read again, so that what was true of it after the look is true of its pixels.
    """

    looked: Looked
    channels: int
    dtype: np.dtype[np.generic]
    options: ReadOptions
    afresh: bool

    def cut(self, shapes: npt.NDArray[np.int64]) -> list[range]:
        """Neighbouring files that are decoded together; `shapes` is (N, 3), what will become of each."""
        runs, start, samples = [], 0, 0
        read = [header.height * header.width * header.channels for header in self.looked.headers]
        for index, count in enumerate(np.maximum(shapes.prod(axis=1), read).tolist()):
            if index > start and samples + count > RUN_SAMPLES:
                runs.append(range(start, index))
                start, samples = index, 0
            samples += count
        return [*runs, range(start, len(shapes))]

    def decode(self, run: range) -> list[Pixels | str]:
        """Each file's (H, W, C), or why it cannot be read."""
        decoded: list[Pixels | str] = []
        for header, same in groupby(run, key=self._plain_header):
            indices = list(same)
            stack = None if header is None else self._stack(indices)
            decoded += [self._one(i) for i in indices] if stack is None else map(self._fitted, stack)
        return decoded

    def _plain_header(self, index: int) -> Header | None:
        return self.looked.headers[index] if isinstance(self.looked.early[index], Plain) else None

    def _stack(self, indices: list[int]) -> Pixels | None:
        several = []
        for index in indices:
            plain = self.looked.early[index]
            if not isinstance(plain, Plain) or self.afresh or not plain.data:
                content = read_small(self.looked.files[index].source) or b""
                plain = read_plain(content, max_pixels=self.options.max_pixels)
            if plain is None or plain.header != self.looked.headers[index]:
                return None
            several.append(plain)
        try:
            return self._conformed(decode_plain(several))
        except ValueError:
            return None  # one by one, it will be known which is broken and why

    def _one(self, index: int) -> Pixels | str:
        image = self.looked.early[index]
        if self.afresh or not isinstance(image, (np.ndarray, str)):
            try:
                image = decode(
                    self.looked.files[index].source,
                    max_pixels=self.options.max_pixels,
                    value_range=self.options.value_range,
                    bands=True,
                )
            except ImageFileError as error:
                return error.reason
        if isinstance(image, str):
            return image
        header = self.looked.headers[index]
        if image.shape[:2] != (header.height, header.width):
            return Message("its pixels have another size than its header says", id="image-file.size-differs")
        image = self._conformed(image)
        return self._fitted(image)

    def _conformed(self, pixels: Pixels) -> Pixels:
        return to_channels(to_dtype(pixels, self.dtype), self.channels)

    def _fitted(self, image: Pixels) -> Pixels:
        return image if self.options.size is None else fit(image, self.options.size)
