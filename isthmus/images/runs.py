"""The files of a folder, looked at one by one, then decoded in runs: small ones many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt

from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.formats import Header, ImageFileError, decode, probe
from isthmus.images.listing import ImageFile
from isthmus.images.plain import Plain, decode_plain, read_plain
from isthmus.images.store import Pixels, Skipped

KEPT_BYTES = 2**27  # of small files' contents, between the look and the decoding
RUN_SAMPLES = 2**18  # decoded by one thread before it hands them over


@dataclass(frozen=True)
class Looked:
    """Files whose headers could be read, and the others.

    Attributes:
        files, headers: those that could.
        plain: of each, what was read of it already where `plain` can decode it, else None.
        skipped: those that could not, each with its reason.
    """

    files: list[ImageFile]
    headers: list[Header]
    plain: list[Plain | None]
    skipped: list[Skipped]


def look(files: Sequence[ImageFile], *, max_pixels: int) -> Looked:
    """Read the header of every file, and of small plain ones all that is in them."""
    found = Looked([], [], [], [])
    kept = 0
    for file in files:
        plain = read_plain(file.source, max_pixels=max_pixels)
        try:
            header = plain.header if plain else probe(file.source, max_pixels=max_pixels)
        except ImageFileError as error:
            found.skipped.append(Skipped(file.name, error.reason))
            continue
        if plain is not None:
            kept += len(plain.data)
            plain = plain if kept <= KEPT_BYTES else replace(plain, data=b"")
        found.files.append(file)
        found.headers.append(header)
        found.plain.append(plain)
    return found


@dataclass(frozen=True)
class Runs:
    """How the files are decoded: all with `channels` and `dtype`, fitted to `size` where one is given.

    With `afresh` every file is read again, so that what was true of it after the look is true of its pixels.
    """

    looked: Looked
    channels: int
    dtype: np.dtype[np.generic]
    size: tuple[int, int] | None
    max_pixels: int
    afresh: bool

    def cut(self, shapes: npt.NDArray[np.int64]) -> list[range]:
        """Neighbouring files that are decoded together; `shapes` is (N, 3), what will become of each."""
        runs, start, samples = [], 0, 0
        for index, count in enumerate(shapes.prod(axis=1).tolist()):
            if index > start and samples + count > RUN_SAMPLES:
                runs.append(range(start, index))
                start, samples = index, 0
            samples += count
        return [*runs, range(start, len(shapes))]

    def decode(self, run: range) -> list[Pixels | str]:
        """Each file's (H, W, C), or why it cannot be read."""
        found: list[Pixels | str] = []
        for header, same in groupby(run, key=self._plain_header):
            indices = list(same)
            stack = None if header is None else self._stack(indices)
            found += [self._one(i) for i in indices] if stack is None else self._fitted(stack)
        return found

    def _plain_header(self, index: int) -> Header | None:
        plain = self.looked.plain[index]
        return None if plain is None else plain.header

    def _stack(self, indices: list[int]) -> Pixels | None:
        several = []
        for index in indices:
            plain = self.looked.plain[index]
            if plain is None or self.afresh or not plain.data:
                plain = read_plain(self.looked.files[index].source, max_pixels=self.max_pixels)
            if plain is None or plain.header != self.looked.headers[index]:
                return None
            several.append(plain)
        try:
            return self._conformed(decode_plain(several))
        except ValueError:
            return None  # one by one, it will be known which is broken and why

    def _one(self, index: int) -> Pixels | str:
        source, header = self.looked.files[index].source, self.looked.headers[index]
        try:
            image = decode(source, max_pixels=self.max_pixels)
            if image.shape[:2] != (header.height, header.width):
                raise ImageFileError(source, "its pixels have another size than its header says")
        except ImageFileError as error:
            return error.reason
        image = self._conformed(image)
        return image if self.size is None else fit(image, self.size)

    def _conformed(self, pixels: Pixels) -> Pixels:
        return to_channels(to_dtype(pixels, self.dtype), self.channels)

    def _fitted(self, stack: Pixels) -> list[Pixels | str]:
        return [image if self.size is None else fit(image, self.size) for image in stack]
