"""One image file -> header, pixels, metadata.

Samples of more than 8 bits become 16 bits, gray or colour; `Header.narrowed` is True for the exceptions
(CMYK, and BMP of wide bit fields). With `bands`, TIFF of 2 to 64 channels is read.

libtiff, inside of Pillow, prints to the descriptor of standard error, past Python. While it decodes, the
descriptor leads to a file; its messages are logged with the image's name, and the output of others is passed
on.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from isthmus.errors import one_line
from isthmus.images.deep import DeepImage
from isthmus.images.metadata import read_metadata
from isthmus.images.modes import (
    Alpha,
    colour_channels,
    is_transparent,
    orientation_of,
    pixels_of,
    raw_pixels_of,
    sample_type,
    scale_key,
    turn_upright,
)
from isthmus.images.opening import MAX_PIXELS, ImageFileError, Source, opened
from isthmus.images.sample_range import UNIT, Range, UnreadablePixelsError
from isthmus.images.store import Pixels
from isthmus.images.tiff_bands import find_pictures
from isthmus.log import log_note

_STDERR = 2
_OWN = re.compile(
    rb"(?:tempfile\.tif|_?TIFF\w*|Fax\w*|CCITT\w*|LZW\w*|ZIP\w*|O?JPEG\w*|Predictor\w*|\w+Decode\w*): "
)
_WARNING = b": Warning, "
_lock = threading.Lock()


def load_tiff(image: Any) -> None:
    """Decode a TIFF that Pillow has opened; warnings are logged once.

    Raises:
        ValueError: libtiff found it damaged, also where Pillow would give what it has.
    """
    tile = getattr(image, "tile", None)
    if not tile or tile[0][0] != "libtiff":
        image.load()
        return
    name = str(getattr(getattr(image, "fp", None), "name", "") or "image")
    lines: list[bytes] = []
    try:
        with _caught(lines):
            image.load()
    finally:
        warned = [line.partition(_WARNING)[2] for line in lines if _WARNING in line]
        if warned:
            log_note("{name}: {text}", id="reading.libtiff", name=name, text=_text(warned[0]))
    errors = [line.partition(b": ")[2] for line in lines if _WARNING not in line]
    if errors:
        raise ValueError(_text(errors[0]))


@contextlib.contextmanager
def _caught(lines: list[bytes]) -> Iterator[None]:
    with _lock, contextlib.ExitStack() as stack:
        try:
            saved = os.dup(_STDERR)
        except OSError:  # standard error is closed: nothing can be printed
            yield
            return
        stack.callback(os.close, saved)
        with tempfile.TemporaryFile() as buffer:
            os.dup2(buffer.fileno(), _STDERR)
            try:
                yield
            finally:
                os.dup2(saved, _STDERR)
                buffer.seek(0)
                for line in buffer.read().splitlines(keepends=True):
                    if _OWN.match(line):
                        lines.append(line.strip())
                    else:
                        with contextlib.suppress(OSError):
                            os.write(_STDERR, line)


def _text(line: bytes) -> str:
    return " ".join(line.decode("utf-8", "replace").split())


@dataclass(frozen=True, slots=True)
class Header:
    """The facts of a file before it is decoded, with orientation applied and alpha composited.

    `channels` is 1 or 3, with `bands` 1 to 64; if `transparent`, `alpha="keep"` adds one more. `several`: the
    file holds further pictures (pages, frames), of which `decode` reads the first only. `paged`: its pages
    are the channels of one picture.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    format: str
    transparent: bool
    narrowed: bool
    several: bool
    paged: bool = False


def probe(path: Source, *, max_pixels: int = MAX_PIXELS, bands: bool = False) -> Header:
    """Read the header of an image file only.

    Args:
        path: the file.
        max_pixels: refuse larger images.
        bands: also TIFF of any number of channels.

    Raises:
        ImageFileError: missing, empty, damaged, not an image of a kind read here, or above `max_pixels`.
    """
    with opened(path, max_pixels, bands=bands) as image:
        return header_of(image)


def glance(
    path: Source,
    content: bytes | None,
    *,
    most_pixels: int,
    max_pixels: int = MAX_PIXELS,
    value_range: Range | None = None,
    bands: bool = False,
) -> tuple[Header, Pixels | str | None]:
    """`probe`, and for small images also `decode`, because opening a file twice costs more.

    Args:
        path: the file.
        content: its bytes, where they have been read already.
        most_pixels: decode it if it has no more.
        max_pixels: refuse larger images from their header.
        value_range, bands: as for `decode`.

    Returns:
        The header, and the pixels of an image of at most `most_pixels`, or why they cannot be read, or None.

    Raises:
        ImageFileError: as `probe`.
    """
    header = None
    try:
        with opened(path, max_pixels, content=content, bands=bands) as image:
            header = header_of(image)
            if value_range is not None:
                header = replace(header, dtype=np.dtype(np.float32))
            if header.height * header.width > most_pixels:
                return header, None
            return header, pixels_from(image, "composite", value_range)
    except ImageFileError as error:
        if header is None:
            raise
        return header, error.reason


def decode(
    path: Source,
    *,
    alpha: Alpha = "composite",
    value_range: Range | None = None,
    raw: bool = False,
    max_pixels: int = MAX_PIXELS,
    bands: bool = False,
    bounds: Range = UNIT,
) -> Pixels:
    """Read one image file, upright (EXIF orientation applied); of an animation the first frame.

    Args:
        path: the file; its content, not its suffix, decides the format.
        alpha: "composite" lays transparent images on white; "keep" adds alpha as the last channel.
        value_range: the samples that stand for black and white; they are mapped to float32.
        raw: wide integers and floats are neither checked nor mapped.
        max_pixels: refuse larger images from their header, before anything is decoded.
        bands: also TIFF of 2 to 64 channels.
        bounds: where floats may lie.

    Returns:
        (H, W, C): uint8, uint16 for what has more bits, or float32 in [0, 1] for float TIFF. C is 1 or 3, and
        2 or 4 with a kept alpha; with `bands` 1 to 64.

    Raises:
        ImageFileError: missing, empty, not an image of a kind read here, truncated, or too large.
    """
    with opened(path, max_pixels, bands=bands) as image:
        return pixels_from(image, alpha, value_range, raw, bounds=bounds)


def decode_pillow(
    image: Image.Image,
    *,
    alpha: Alpha = "composite",
    value_range: Range | None = None,
    raw: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """As `decode`, of an image that Pillow has opened or made, of any mode.

    Raises:
        ImageFileError: as `decode`, under the name of its file where it has one.
    """
    name = str(getattr(image, "filename", "") or "image")
    if image.width * image.height > max_pixels:
        raise ImageFileError(
            name,
            "more than {megapixels:g} megapixels, the limit of max_pixels",
            id="image-file.too-large",
            megapixels=max_pixels / 1e6,
        )
    if image.width * image.height == 0:
        raise ImageFileError(
            name,
            "no pixels in an image of {width}×{height}",
            id="image-file.no-pixels",
            width=image.width,
            height=image.height,
        )
    try:
        return pixels_from(image, alpha, value_range, raw)
    except UnreadablePixelsError as error:
        raise ImageFileError(name, error.message, hint=error.hint) from None
    except Exception as error:  # read only now: as in `opened`
        raise ImageFileError(
            name, "damaged or truncated ({reason})", id="image-file.damaged", reason=one_line(error)
        ) from None


def metadata(path: Source) -> tuple[bytes | None, bytes | None]:
    """EXIF without its orientation tag, and the ICC profile, if they still describe the pixels of `decode`.

    Raises:
        ImageFileError: the file cannot be opened.
    """
    metadata_read = read_metadata(path)
    return metadata_read.exif, metadata_read.icc


def header_of(image: Image.Image | DeepImage) -> Header:
    """The header of an open image."""
    height, width = image.height, image.width
    if isinstance(image, DeepImage):
        if image.orientation >= 5:
            height, width = width, height
        return Header(
            height=height,
            width=width,
            channels=image.colours,
            dtype=image.sample_type,
            format=image.format,
            transparent=image.alpha,
            narrowed=image.narrowed,
            several=image.several,
            paged=image.paged,
        )
    # A PNG may carry its orientation behind the pixels; asking for it would decode them.
    late = image.format == "PNG" and "exif" not in image.info
    if image.format != "TIFF" and not late and orientation_of(image) >= 5:
        height, width = width, height
    return Header(
        height=height,
        width=width,
        channels=colour_channels(image),
        dtype=sample_type(image),
        format=str(image.format),
        transparent=is_transparent(image),
        narrowed=_narrowed(image),
        several=_several(image),
    )


def pixels_from(
    image: Image.Image | DeepImage,
    alpha: Alpha,
    value_range: Range | None = None,
    raw: bool = False,
    *,
    bounds: Range = UNIT,
) -> Pixels:
    """The pixels of an open image, upright; arguments as for `decode`."""
    if isinstance(image, DeepImage):
        samples = image.read_raw() if raw else image.read(alpha, value_range, bounds=bounds)
        return turn_upright(samples, image.orientation)
    scale_key(image)
    if image.format == "TIFF":
        load_tiff(image)
    else:
        image.load()
    pixels = (
        raw_pixels_of(image, alpha=alpha)
        if raw
        else pixels_of(image, alpha=alpha, value_range=value_range, bounds=bounds)
    )
    # After load(): TIFF turns itself there and drops the tag, and PNG may have found its EXIF block late.
    return turn_upright(pixels, orientation_of(image))


def _several(image: Image.Image) -> bool:
    try:
        stream = getattr(image, "fp", None)
        if image.format == "TIFF" and stream is not None:
            return len(find_pictures(stream)) > 1
        # Cameras store previews and depth maps behind a photograph (MPO), which are no images of their own.
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception:  # the first frame is read even if the second is broken
        return False


def _narrowed(image: Image.Image) -> bool:
    tiles = getattr(image, "tile", None)
    if not tiles or sample_type(image) != np.uint8:
        return False
    args = tiles[0][3]
    rawmode = args[0] if isinstance(args, tuple) and args else args
    return isinstance(rawmode, str) and ";16" in rawmode and rawmode != "BGR;16"  # of 5, 6 and 5 bits
