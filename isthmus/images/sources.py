"""Forms of one image file: a path, its bytes, an open file, a Pillow image."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from isthmus.errors import DataError
from isthmus.images.content import content_of, is_encoded
from isthmus.images.formats import Header, decode, decode_pillow, header_of, pixels_from, probe
from isthmus.images.ifd import DirectoryReader
from isthmus.images.modes import Alpha
from isthmus.images.opening import MAX_PIXELS, Content, open_source, opened
from isthmus.images.sample_range import Range
from isthmus.images.store import Pixels

_Answer = TypeVar("_Answer")
_JPEG = ("JPEG", "MPO")
_LOSSY_ALPHA = ("AVIF", "HEIF")
_HEADER_BYTES = 2**16
_COMPRESSION = 259
# Of TIFF: JPEG, JPEG 2000, JPEG XL and WebP.
_LOSSY_COMPRESSIONS = frozenset({6, 7, 33003, 33004, 33005, 34712, 34892, 50001, 50002, 52546})
_FIRST_STEPS_AT_50 = 53  # sum of the first four of the luminance table in Annex K, in rows or in zigzag


def is_pillow(value: object) -> bool:
    """Whether `value` is a Pillow image."""
    from PIL import Image

    return isinstance(value, Image.Image)


def is_tensor(value: object) -> bool:
    """Whether `value` is a torch tensor; does not import torch."""
    # While another thread imports torch, it has no classes yet, so no tensor can exist.
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return kind is not None and isinstance(value, kind)


def lossy_parts(image: Any) -> tuple[bool, bool]:
    """Whether the compression of an image file does not keep every sample of its colours, and of its alpha.

    Args:
        image: a path, bytes, or a Pillow image that was opened from a file; what cannot be opened keeps all.
    """
    if is_pillow(image) and Path(getattr(image, "filename", "") or "").is_file():
        image = image.filename
    if is_pillow(image):
        return image.format in (*_JPEG, *_LOSSY_ALPHA, "WEBP"), image.format in _LOSSY_ALPHA
    if not isinstance(image, (str, os.PathLike)) and not is_encoded(image):
        return False, False
    source = Path(image) if isinstance(image, (str, os.PathLike)) else content_of(image)
    try:
        with opened(source, MAX_PIXELS) as opened_image:
            kind = opened_image.format
        with open_source(source) as stream:
            if kind == "WEBP":
                return _is_lossy_webp(stream), False  # its alpha is kept
            start = stream.read(_HEADER_BYTES)
            if kind == "TIFF":
                pages = DirectoryReader.open(stream).chain(only=frozenset({_COMPRESSION}))
                lossy = any(page.number(_COMPRESSION, 1) in _LOSSY_COMPRESSIONS for page in pages)
                return lossy, lossy
    except (DataError, ValueError):
        return False, False
    if kind == "JPEG2000":  # the transformation in the segment COD of the stream: 0 is irreversible
        at = start.find(b"\xff\x52", max(0, start.find(b"\xff\x4f\xff\x51")))
        lossy = at >= 0 and start[at + 13 : at + 14] == b"\0"
        return lossy, lossy
    return kind in (*_JPEG, *_LOSSY_ALPHA), kind in _LOSSY_ALPHA


def _is_lossy_webp(stream: IO[bytes]) -> bool:
    """Whether a picture in a WebP file is a lossy stream (RFC 9649, section 2.7)."""
    at = 12  # behind `RIFF`, its size and `WEBP`
    stream.seek(at)
    while len(head := stream.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == b"VP8 ":
            return True
        # A frame has 16 bytes about it, then chunks of its own.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
        stream.seek(at)
    return False


def jpeg_chroma_steps(image: Any) -> tuple[int, int] | None:
    """How many rows and columns of pixels share one value of colour in a JPEG file: (2, 2) in 4:2:0.

    Args:
        image: a path, bytes, or a Pillow image that was opened from a file.

    Returns:
        Rows and columns; (1, 1) where the file stores colour whole, or has none; None of all but JPEG, and of
        what cannot be opened.
    """
    return _ask_file(image, _chroma_steps_of)


def estimate_jpeg_quality(image: Any) -> float | None:
    """Quality, 1 to 100, of a JPEG file by the first steps of its luminance table; None of anything else.

    The scale of the Independent JPEG Group: the tables of Annex K of the standard are those of quality 50.

    Args:
        image: a path, bytes, or a Pillow image that was opened from a file; what cannot be opened gives None.
    """
    return _ask_file(image, _quality_of)


def _ask_file(image: Any, question: Callable[[Any], _Answer | None]) -> _Answer | None:
    """The result of `question` for the image that Pillow opens; None if it is no file or cannot be opened."""
    if is_pillow(image):
        return question(image)
    if isinstance(image, (str, os.PathLike)):
        source: Path | Content = Path(image)
    elif is_encoded(image):
        source = content_of(image)
    else:
        return None
    try:
        with opened(source, MAX_PIXELS) as opened_image:
            return question(opened_image)
    except DataError:
        return None


def _chroma_steps_of(image: Any) -> tuple[int, int] | None:
    if getattr(image, "format", None) not in _JPEG:
        return None
    layers: Any = getattr(image, "layer", ())  # (id, horizontal, vertical factor, table) of each component
    if len(layers) < 3:
        return 1, 1
    down, across = (max(1, layers[0][axis] // max(1, layers[1][axis])) for axis in (2, 1))
    return down, across


def _quality_of(image: Any) -> float | None:
    tables = getattr(image, "quantization", None)
    if getattr(image, "format", None) not in _JPEG or not tables:
        return None
    steps = tables[min(tables)]
    scale = 100 * sum(steps[:4]) / _FIRST_STEPS_AT_50
    quality = 5000 / scale if scale > 100 else (200 - scale) / 2
    return float(min(100.0, max(1.0, quality)))


def as_source(image: Any) -> Any:
    """A path or an open file in a form that can be read several times; a Pillow image unchanged."""
    if is_pillow(image) or isinstance(image, Content):
        return image
    return Path(image) if isinstance(image, (str, os.PathLike)) else content_of(image)


def probe_source(image: Any, *, max_pixels: int = MAX_PIXELS, bands: bool = False) -> Header:
    """As `formats.probe`, of all that `decode_source` takes."""
    source = as_source(image)
    return header_of(source) if is_pillow(source) else probe(source, max_pixels=max_pixels, bands=bands)


def read_source(
    image: Any, *, value_range: Range | None = None, max_pixels: int = MAX_PIXELS
) -> tuple[Header, Pixels]:
    """Header and pixels of one image, opened once; alpha is laid on white, TIFF may have up to 64 channels.

    Args:
        image: as for `decode_source`.
        value_range, max_pixels: as for `formats.decode`.

    Raises:
        ImageFileError: as `formats.decode`.
    """
    source = as_source(image)
    if is_pillow(source):
        return header_of(source), decode_pillow(source, value_range=value_range, max_pixels=max_pixels)
    with opened(source, max_pixels, bands=True) as opened_image:
        return header_of(opened_image), pixels_from(opened_image, "composite", value_range)


def decode_source(
    image: Any,
    *,
    alpha: Alpha = "composite",
    value_range: Range | None = None,
    raw: bool = False,
    max_pixels: int = MAX_PIXELS,
    bands: bool = False,
) -> Pixels:
    """As `formats.decode`, of an image file's path, bytes or open file, or of a Pillow image."""
    source = as_source(image)
    if is_pillow(source):
        return decode_pillow(source, alpha=alpha, value_range=value_range, raw=raw, max_pixels=max_pixels)
    return decode(source, alpha=alpha, value_range=value_range, raw=raw, max_pixels=max_pixels, bands=bands)
