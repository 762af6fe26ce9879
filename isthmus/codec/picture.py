"""What is compressed: 8-bit pixels, transparency, colour profile, EXIF; from a file or an array."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.container import MAX_PIXELS
from isthmus.errors import DataError
from isthmus.images.formats import decode, metadata, probe
from isthmus.images.opening import ImageFileError

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, upright.

    Attributes:
        pixels: uint8 (H, W, 1 or 3).
        alpha: uint8 (H, W), or None where the image has no transparency.
        icc, exif: as the image file had them, EXIF without its orientation.
        several: the file held further pictures, of which this is the first.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    several: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    def array(self) -> Pixels:
        """(H, W) gray, (H, W, 2) with alpha, (H, W, 3) colour, (H, W, 4) with alpha."""
        if self.alpha is not None:
            return np.concatenate([self.pixels, self.alpha[:, :, None]], axis=2)
        return self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels


def picture(image: npt.NDArray[Any] | str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in an array or an image file.

    Args:
        image: uint8 (H, W) or (H, W, C) with C 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha; or the
            path of an image file of a kind read everywhere in isthmus, of 8 bits per sample.
        max_pixels: larger pictures are refused.

    Raises:
        DataError: not such an image.
    """
    if isinstance(image, (str, os.PathLike)):
        return _from_file(Path(image), max_pixels)
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise DataError(f"an image to compress is (H, W) or (H, W, 1 to 4), not {np.shape(image)}")
    if array.dtype != np.uint8:
        raise DataError(f"an image to compress has 8 bits per sample (uint8), not {array.dtype}")
    if array.shape[0] * array.shape[1] > max_pixels:
        raise DataError(f"{array.shape[1]}×{array.shape[0]} pixels are more than {max_pixels:,}, the limit")
    return _split(array)


def _from_file(path: Path, max_pixels: int) -> Picture:
    header = probe(path, max_pixels=max_pixels)
    if header.narrowed or header.dtype != np.uint8:
        raise ImageFileError(path, "more than 8 bits per sample, which files of isthmus do not hold")
    array = decode(path, alpha="keep", max_pixels=max_pixels)
    exif, icc = metadata(path)
    found = _split(array)
    return Picture(found.pixels, found.alpha, icc, exif, header.several)


def _split(array: Pixels) -> Picture:
    if array.shape[2] in (2, 4):
        return Picture(array[:, :, :-1], np.ascontiguousarray(array[:, :, -1]))
    return Picture(array)
