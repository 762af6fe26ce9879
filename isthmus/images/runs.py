"""The files of a folder: headers are read one by one, then pixels are decoded in runs, many small files at a
time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.formats import Header, decode, glance
from isthmus.images.listing import ImageFile
from isthmus.images.opening import MAX_PIXELS, ImageFileError
from isthmus.images.plain_png import Plain, decode_plain, read_plain, read_small
from isthmus.images.pool import Progress
from isthmus.images.sample_range import Range
from isthmus.images.store import Pixels, Skipped
from isthmus.messages import Message

KEPT_BYTES = 2**27  # of small files, held from the reading of headers to the decoding
TINY_PIXELS = 2**12  # decoding this many takes less time than opening a file
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
        early: more than the header: the compressed rows of a plain file; the pixels of a tiny one, or why it
            has none; or None.
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

    With `afresh` every file is read again, so that its pixels are from after the check of its state.
    """

    looked: Looked
    channels: int
    dtype: np.dtype[np.generic]
    options: ReadOptions
    afresh: bool

    def cut(self, shapes: npt.NDArray[np.int64]) -> list[range]:
        """Neighbouring files that are decoded together; `shapes` is (N, 3), of the results."""
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
            if stack is None:
                decoded += [self._decode_file(index) for index in indices]
            else:
                decoded += [fit(image, self.options.size) for image in stack]
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
            return None  # decoding them one by one shows which is broken and why

    def _decode_file(self, index: int) -> Pixels | str:
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
        return fit(self._conformed(image), self.options.size)

    def _conformed(self, pixels: Pixels) -> Pixels:
        return to_channels(to_dtype(pixels, self.dtype), self.channels)
