"""An image in any form that callers give -> upright pixels of 8 bits, transparency and metadata."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.codec.container import MAX_PIXELS
from isthmus.errors import DataError
from isthmus.images.conform import to_dtype
from isthmus.images.content import content_of, is_encoded
from isthmus.images.flat_rows import suggest_tensor_axes
from isthmus.images.formats import decode, decode_pillow, probe
from isthmus.images.metadata import WORDS, Metadata, metadata_of, read_metadata
from isthmus.images.opening import Content, ImageFileError
from isthmus.images.reading import names_set, read_image
from isthmus.images.sample_range import Range, UnreadablePixelsError, check_range, to_samples
from isthmus.images.sources import is_pillow, is_tensor
from isthmus.images.store import ImageSet
from isthmus.input_files import is_folder

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
    extras, several = Metadata(), False
    if isinstance(image, (Path, Content)) and range is None:
        array, extras, several = _from_file(image, max_pixels)
    elif isinstance(image, (Path, Content)):
        raw = decode(image, alpha="keep", raw=True, max_pixels=max_pixels)
        array = _from_array(raw, range, max_pixels)
    elif is_pillow(image):
        raw = decode_pillow(image, alpha="keep", raw=range is not None, max_pixels=max_pixels)
        array, own = _from_array(raw, range, max_pixels), metadata_of(image)
        extras = Metadata(exif=own.exif, icc=own.icc)
    elif isinstance(image, (str, ImageSet)):
        array = _from_array(read_image(image, range=range, max_pixels=max_pixels), None, max_pixels)
    else:
        array = _from_array(image, range, max_pixels)
    transparent = array.shape[2] in (2, 4)
    lost = (*extras.dropped, *(WORDS[name] for name in WORDS if name in extras.parts() - {"exif", "icc"}))
    return Picture(
        array[:, :, :-1] if transparent else array,
        np.ascontiguousarray(array[:, :, -1]) if transparent else None,
        extras.icc,
        extras.exif,
        several,
        lost,
    )


def _from_array(image: Any, value_range: Range | None, max_pixels: int) -> Pixels:
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
    return to_dtype(samples, np.uint8)


def _from_file(path: Path | Content, max_pixels: int) -> tuple[Pixels, Metadata, bool]:
    """Pixels and metadata, and whether the file holds further pictures."""
    header = probe(path, max_pixels=max_pixels)
    if header.narrowed or header.dtype != np.uint8:
        raise ImageFileError(
            path,
            "more than 8 bits per sample, which files of isthmus do not hold",
            id="image-file.too-many-bits",
        )
    array = decode(path, alpha="keep", max_pixels=max_pixels)
    return array, read_metadata(path), header.several
