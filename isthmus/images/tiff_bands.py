"""TIFF files of more channels than a colour image has, or of 16-bit colour: read and written with tifffile.

Pillow reads gray, RGB, CMYK and what has alpha. Everything else that TIFF 6.0 allows in one picture comes
here: 2 to 64 samples a pixel, interleaved or in planes, in strips or tiles, of any sample type. Pages are
channels where the file says so: ImageJ by `channels=`, tifffile by `{"shape": [C, H, W]}` or
`{"shape": [H, W, C]}` in the description.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.cache import memory_bytes
from isthmus.images.sample_range import UnreadablePixelsError
from isthmus.images.store import Pixels

if TYPE_CHECKING:
    from tifffile import TiffFrame, TiffPage

# Without any handler Python prints what tifffile logs about damaged files to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SAMPLES, _BITS, _PHOTOMETRIC, _EXTRA, _PLANES, _DESCRIPTION = 277, 258, 262, 338, 284, 270
_GRAY_OR_RGB = (0, 1, 2)
_UNSPECIFIED = 0
_MAX_DESCRIPTION = 2**16  # characters; what is longer describes no shape
_DEFLATE_LIMIT = 1032  # RFC 1951: bytes at most out of each compressed one
_UNCOMPRESSED = 1
_IN_PLANES = 2


@dataclass(frozen=True)
class BandImage:
    """A picture of any number of channels in an open TIFF file, not decoded yet.

    Attributes:
        height, width, channels: of the picture.
        dtype: of its samples, in the machine's byte order.
        pages: that hold its channels; one page holds all of them, or each one.
        first: the axis of the channels in the stacked pages comes first rather than last.
        several: the file holds further pictures.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    pages: tuple[TiffPage | TiffFrame, ...]
    first: bool
    several: bool

    def __enter__(self) -> BandImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def read(self) -> Pixels:
        """(H, W, C).

        Raises:
            UnreadablePixelsError: compressed in a way that is not read here.
        """
        try:
            parts = [page.asarray(maxworkers=1) for page in self.pages]
        except ValueError as error:
            if "imagecodecs" in str(error):
                raise UnreadablePixelsError(
                    "compressed with {compression}, which is read for gray and colour only; deflate "
                    "and no compression are read for any number of channels",
                    id="pixels.compression",
                    compression=_compression(self.pages[0]),
                ) from None
            raise
        stacked = parts[0] if len(parts) == 1 else np.stack(parts)
        stacked = np.moveaxis(stacked, 0, -1) if self.first else stacked
        return np.ascontiguousarray(stacked.reshape(self.height, self.width, self.channels), dtype=self.dtype)


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins like this is a TIFF."""
    return start[:4] in _MAGIC


def holds_bands(image: Image.Image) -> bool:
    """Whether a TIFF that Pillow has opened holds channels that it would leave out or misread."""
    tags = getattr(image, "tag_v2", None)
    if tags is None or tags.get(_PHOTOMETRIC) not in _GRAY_OR_RGB:
        return False
    samples, extra = tags.get(_SAMPLES, 1), tags.get(_EXTRA, ())
    if samples == 1:
        return _pages_of_channels(str(tags.get(_DESCRIPTION, "")), image.height, image.width) is not None
    if samples > 4 or (samples in (2, 4) and tuple(extra) == (_UNSPECIFIED,)):
        return True
    return bool(samples == 3 and max(tags.get(_BITS, (8,))) == 16)  # Pillow has no mode for it


def drops_channels(image: Image.Image) -> bool:
    """Whether Pillow would leave out whole channels of a TIFF, or read its planes wrongly."""
    tags = getattr(image, "tag_v2", {})
    return bool(tags.get(_SAMPLES, 1) > 4 or (holds_bands(image) and tags.get(_PLANES, 1) == _IN_PLANES))


def open_bands(stream: IO[bytes], max_pixels: int) -> BandImage:
    """The first picture of a TIFF file, from its header.

    Raises:
        UnreadablePixelsError: more than 64 channels, volumes, or not in one piece.
        Image.DecompressionBombError: more than `max_pixels`.
        Exception: whatever tifffile raises on a damaged file.
    """
    from tifffile import TiffFile

    stream.seek(0, io.SEEK_END)
    length = stream.tell()
    stream.seek(0)
    file = TiffFile(stream, name="image.tif", _multifile=False)
    page = file.pages.first
    found = None
    if page.samplesperpixel == 1:
        found = _pages_of_channels(page.description, page.imagelength, page.imagewidth)
    count, first = found or (1, page.planarconfig == _IN_PLANES and page.samplesperpixel > 1)
    if page.imagedepth != 1:
        raise UnreadablePixelsError("holds a volume; images of two axes are read", id="pixels.volume")
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    if found is not None and first:
        channels = count
    elif found is not None:
        height, width, channels = count, page.imagelength, page.imagewidth
    if height * width > max_pixels:
        raise Image.DecompressionBombError
    if channels > MAX_CHANNELS:
        raise UnreadablePixelsError(
            "has {channels} channels; images have 1 to {most}",
            id="pixels.channels",
            channels=channels,
            most=MAX_CHANNELS,
        )
    if page.dtype is None or height * width * channels * page.dtype.itemsize > memory_bytes():
        raise UnreadablePixelsError(
            "promises more pixels than fit into memory, or samples of no known type",
            id="pixels.promises-too-much",
        )
    pages = tuple(file.pages[index] for index in range(count))
    for one in pages:
        _check_page(one, page, length)
    return BandImage(
        height=height,
        width=width,
        channels=channels,
        dtype=page.dtype.newbyteorder("="),
        pages=pages,
        first=bool(first),
        several=len(file.pages) > count,
    )


def encode_bands(pixels: Pixels) -> bytes:
    """A TIFF file of (H, W, C) uint8, uint16 or float32, interleaved and deflated; every sample is kept.

    Three channels are written as RGB, any other number as gray with further channels.
    """
    import tifffile

    packed = io.BytesIO()
    channels = pixels.shape[2]
    tifffile.imwrite(
        packed,
        pixels if channels > 1 else pixels[..., 0],
        photometric="rgb" if channels == 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        compression="zlib",
        predictor=pixels.dtype != np.float32,
        metadata=None,
        software=False,
    )
    return packed.getvalue()


def _check_page(page: Any, first: Any, length: int) -> None:
    """What a page promises must be in the file, before memory is taken for it."""
    if (page.shape, page.dtype) != (first.shape, first.dtype):
        raise UnreadablePixelsError("its pages have different sizes or samples", id="pixels.pages-differ")
    held = sum(page.databytecounts)
    ends = (at + size for at, size in zip(page.dataoffsets, page.databytecounts, strict=True))
    if max(ends, default=0) > length or held <= 0:
        raise ValueError("pixels beyond the end of the file")
    wanted = page.nbytes
    if wanted > held * (1 if page.compression == _UNCOMPRESSED else _DEFLATE_LIMIT):
        raise ValueError(f"{wanted} bytes of pixels are promised, {held} are there")


def _pages_of_channels(description: str, height: int, width: int) -> tuple[int, bool] | None:
    """How many pages hold one picture, and whether each holds one channel; None where pages are pictures."""
    if len(description) > _MAX_DESCRIPTION:
        return None
    if description.startswith("ImageJ="):
        count = _imagej_channels(description)
        return (count, True) if count > 1 else None
    shape = _described_shape(description)
    if shape is None or len(shape) != 3:
        return None
    if shape[1:] != [height, width]:
        return None
    if 2 <= shape[2] <= MAX_CHANNELS and shape[2] < min(shape[:2]):
        return (shape[0], False)  # (H, W, C): a page is one row of all channels
    return (shape[0], True) if 2 <= shape[0] <= MAX_CHANNELS else None


def _imagej_channels(description: str) -> int:
    facts = {key: int(value) for key, value in re.findall(r"^(\w+)=(\d{1,6})$", description, re.MULTILINE)}
    if facts.get("slices", 1) > 1 or facts.get("frames", 1) > 1:
        return 1
    return min(facts.get("channels", 1), MAX_CHANNELS + 1)


def _described_shape(description: str) -> Sequence[int] | None:
    if not description.startswith('{"shape": ['):
        return None
    try:
        shape = json.loads(description)["shape"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = isinstance(shape, list) and all(isinstance(side, int) and side > 0 for side in shape)
    return shape if whole and math.prod(shape) < 2**48 else None


def _compression(page: Any) -> str:
    return str(getattr(page.compression, "name", page.compression))
