"""Transparency without loss: one plane of 8 bits per tile, filtered by rows and deflated (RFC 1950).

The filter is PNG's "Up" (ISO/IEC 15948, 9.2): each value minus the one above it, modulo 256.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.container import MAX_PIXELS, CompressedFileError
from isthmus.errors import DataError
from isthmus.images.conform import to_dtype
from isthmus.images.flat_rows import suggest_tensor_axes
from isthmus.images.formats import decode, decode_pillow, probe
from isthmus.images.metadata import WORDS, metadata_of, read_metadata
from isthmus.images.opening import Content, ImageFileError
from isthmus.images.reading import names_set, read_image
from isthmus.images.sample_range import Range, UnreadablePixelsError, check_range, to_samples
from isthmus.images.sources import content_of, is_encoded, is_pillow, is_tensor
from isthmus.images.store import ImageSet
from isthmus.input_files import is_folder

_CONSTANT, _DEFLATED = 0, 1

Plane = npt.NDArray[np.uint8]


def encode_plane(plane: Plane) -> bytes:
    """A plane (h, w) as bytes: one value where it is constant, else deflated."""
    if (plane == plane[0, 0]).all():
        return bytes((_CONSTANT, int(plane[0, 0])))
    filtered = plane.copy()
    filtered[1:] -= plane[:-1]
    return bytes((_DEFLATED,)) + zlib.compress(filtered.tobytes(), 9)


def decode_plane(data: bytes | memoryview, size: tuple[int, int]) -> Plane:
    """The inverse, for a plane of `size` (h, w). Never inflates more than that.

    Raises:
        CompressedFileError: not what `encode_plane` gives.
    """
    payload = bytes(data)
    if len(payload) == 2 and payload[0] == _CONSTANT:
        return np.full(size, payload[1], np.uint8)
    count = size[0] * size[1]
    try:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(payload[1:], count + 1) if payload[:1] == bytes((_DEFLATED,)) else b""
    except zlib.error:
        plain = b""
    if len(plain) != count or not inflater.eof or inflater.unused_data:
        raise CompressedFileError(
            "damaged: its transparency cannot be decoded", id="compressed-file.transparency"
        )
    return np.cumsum(np.frombuffer(plain, np.uint8).reshape(size), axis=0, dtype=np.uint8)


Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """One image, upright.

    Attributes:
        pixels: uint8 (H, W, 1 or 3).
        alpha: uint8 (H, W), or None where the image has no transparency.
        icc, exif: as the image file had them, EXIF without its orientation.
        several: the file held further pictures, of which this is the first.
        lost: words for what else the file held: resolution, texts, XMP.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    several: bool = False
    lost: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]

    def array(self) -> Pixels:
        """(H, W) gray, (H, W, 2) with alpha, (H, W, 3) colour, (H, W, 4) with alpha."""
        if self.alpha is not None:
            return np.concatenate([self.pixels, self.alpha[:, :, None]], axis=2)
        return self.pixels[:, :, 0] if self.pixels.shape[2] == 1 else self.pixels


def read_picture(image: Any, *, range: Range | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in an array, an image file or a Pillow image.

    Args:
        image: (H, W) or (H, W, C) with C 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha, or a tensor
            (1, C, H, W): uint8, or floats in [0, 1], which are rounded to 8 bits; or the path, the bytes or
            the open file of an image of 8 bits per sample and a kind read everywhere in isthmus, or a Pillow
            image.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        max_pixels: larger pictures are refused.

    Raises:
        DataError: not such an image.
    """
    check_range(range)
    if is_encoded(image):
        image = content_of(image)
    elif isinstance(image, (str, os.PathLike)):
        image = os.fspath(image) if names_set(image) and not is_folder(image) else Path(image)
    if isinstance(image, (Path, Content)):
        if range is None:
            return _from_file(image, max_pixels)
        return _from_array(decode(image, alpha="keep", raw=True, max_pixels=max_pixels), range, max_pixels)
    if is_pillow(image):
        array = decode_pillow(image, alpha="keep", raw=range is not None, max_pixels=max_pixels)
        converted = _from_array(array, range, max_pixels)
        extras = metadata_of(image)
        return replace(converted, exif=extras.exif, icc=extras.icc)
    if isinstance(image, (str, ImageSet)):
        return _from_array(read_image(image, range=range, max_pixels=max_pixels), None, max_pixels)
    return _from_array(image, range, max_pixels)


def _from_array(image: Any, value_range: Range | None, max_pixels: int) -> Picture:
    if is_tensor(image):
        if image.ndim != 4 or len(image) != 1:
            raise DataError(
                "an image to compress is one tensor (1, C, H, W), not {shape}",
                id="codec.tensor-shape",
                hint=suggest_tensor_axes(tuple(image.shape)),
                shape=tuple(image.shape),
            )
        tensor = image.detach().cpu()[0].permute(1, 2, 0)
        array = (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    else:
        array = np.ascontiguousarray(image)  # torch takes no negative strides
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise DataError(
            "an image to compress is (H, W) or (H, W, 1 to 4), not {shape}",
            id="codec.image-shape",
            shape=np.shape(image),
        )
    if array.shape[0] * array.shape[1] > max_pixels:
        raise DataError(
            "{width}×{height} pixels are more than {most:,}, the limit",
            id="codec.too-many-pixels",
            width=array.shape[1],
            height=array.shape[0],
            most=max_pixels,
        )
    try:
        samples = to_samples(array, value_range)
    except UnreadablePixelsError as error:
        raise DataError("image {reason}", id="data.image-problem", hint=error.hint, reason=error) from None
    if samples.dtype == np.uint16:
        raise DataError(
            "an image to compress has 8 bits per sample (uint8), not {dtype}",
            id="codec.image-dtype",
            dtype=array.dtype,
        )
    return _split(to_dtype(samples, np.uint8))


def _from_file(path: Path | Content, max_pixels: int) -> Picture:
    header = probe(path, max_pixels=max_pixels)
    if header.narrowed or header.dtype != np.uint8:
        raise ImageFileError(
            path,
            "more than 8 bits per sample, which files of isthmus do not hold",
            id="image-file.too-many-bits",
        )
    array = decode(path, alpha="keep", max_pixels=max_pixels)
    extras = read_metadata(path)
    split = _split(array)
    lost = (*extras.dropped, *(WORDS[name] for name in WORDS if name in extras.parts() - {"exif", "icc"}))
    return Picture(split.pixels, split.alpha, extras.icc, extras.exif, header.several, lost)


def _split(array: Pixels) -> Picture:
    if array.shape[2] in (2, 4):
        return Picture(array[:, :, :-1], np.ascontiguousarray(array[:, :, -1]))
    return Picture(array)
