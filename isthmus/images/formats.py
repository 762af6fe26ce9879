"""One image file -> header, pixels, metadata: Pillow behind an allow-list, with limits checked first.

16-bit gray keeps its 16 bits. 16-bit colour is read as 8-bit colour, for Pillow has no such mode;
`Header.narrowed` says where that happened.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from isthmus.errors import DataError
from isthmus.images.limits import pillow_limits
from isthmus.images.modes import (
    Alpha,
    UnreadablePixelsError,
    colour_channels,
    is_transparent,
    pixels_of,
    sample_type,
)
from isthmus.images.store import Pixels

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000")
KINDS = "PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF, PNM, JPEG 2000"
_SUFFIXES_BY_KIND = (
    (".png", ".apng"),
    (".jpg", ".jpeg", ".jpe", ".jfif"),
    (".webp", ".avif"),
    (".tif", ".tiff"),
    (".bmp", ".dib", ".gif"),
    (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    (".jp2", ".j2k", ".jpx", ".jpf", ".jpc"),
)
SUFFIXES = frozenset(suffix for kind in _SUFFIXES_BY_KIND for suffix in kind)
MAX_PIXELS = 512_000_000
_ORIENTATION = 0x0112
# TIFF 6.0 tags that describe how this file lays out its pixels, and the ICC profile: true of no other file.
_LAYOUT_TAGS = frozenset(
    {*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, 317, 320, *range(322, 326), 330}
    | {*range(332, 342), 347, *range(512, 533), 34675}
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside an uncompressed archive: `size` bytes that begin at `offset`."""

    archive: Path
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}, byte {self.offset}"

    def read_from(self, stream: IO[bytes]) -> bytes:
        """Its bytes out of the opened archive, which is left at the place where it was."""
        before = stream.tell()
        stream.seek(self.offset)
        content = stream.read(self.size)
        stream.seek(before)
        return content


class ImageFileError(DataError):
    """One image file cannot be read. `reason` is the message without the file's name."""

    def __init__(self, path: str | Path | Member, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """What a file promises before it is decoded, with orientation applied and alpha composited.

    `channels` is 1 or 3; `transparent` says whether `alpha="keep"` adds one more. `several`: the file holds
    further pictures (pages, frames), of which `decode` reads the first only.
    """

    height: int
    width: int
    channels: int
    dtype: np.dtype[Any]
    format: str
    transparent: bool
    narrowed: bool
    several: bool


def probe(path: str | Path | Member, *, max_pixels: int = MAX_PIXELS) -> Header:
    """Read the header of an image file only.

    Raises:
        ImageFileError: missing, empty, damaged, not an image of a kind read here, or above `max_pixels`.
    """
    with _opened(path, max_pixels) as image:
        height, width = image.height, image.width
        # A PNG may carry its orientation behind the pixels; asking for it would decode them.
        late = image.format == "PNG" and "exif" not in image.info
        if image.format != "TIFF" and not late and _orientation(image) >= 5:
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


def decode(path: str | Path | Member, *, alpha: Alpha = "composite", max_pixels: int = MAX_PIXELS) -> Pixels:
    """Read one image file, upright (EXIF orientation applied); of an animation the first frame.

    Args:
        path: the file; its content, not its suffix, decides the format.
        alpha: "composite" lays transparent images on white; "keep" adds alpha as the last channel.
        max_pixels: refuse larger images from their header, before anything is decoded.

    Returns:
        (H, W, C): uint8, uint16 for 16-bit gray, or float32 in [0, 1] for 32-bit float TIFF. C is 1 or 3, and
        2 or 4 with a kept alpha.

    Raises:
        ImageFileError: missing, empty, not an image of a kind read here, truncated, or too large.
    """
    with _opened(path, max_pixels) as image:
        image.load()
        # After load(): TIFF turns itself there and drops the tag, and PNG may have found its EXIF block late.
        return _upright(pixels_of(image, alpha=alpha), _orientation(image))


def metadata(path: str | Path) -> tuple[bytes | None, bytes | None]:
    """EXIF without its orientation tag, and the ICC profile, where they still fit the pixels `decode` gives.

    Raises:
        ImageFileError: as `probe`.
    """
    with _opened(path, MAX_PIXELS) as image:
        exif = image.getexif()
        for tag in (_LAYOUT_TAGS | {_ORIENTATION}) & set(exif):
            del exif[tag]
        profile = image.info.get("icc_profile") if image.mode not in ("CMYK", "LAB", "YCbCr") else None
        return (exif.tobytes() if len(exif) else None), (profile or None)


@contextmanager
def _opened(path: str | Path | Member, max_pixels: int) -> Iterator[Image.Image]:
    with pillow_limits(max_pixels), _file(path) as stream:
        try:
            with Image.open(stream, formats=FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise Image.DecompressionBombError
                yield image
        except UnidentifiedImageError:
            raise ImageFileError(path, f"not an image of a kind read here ({KINDS})") from None
        except Image.DecompressionBombError:
            limit = f"{max_pixels / 1e6:g} megapixels"
            raise ImageFileError(path, f"more than {limit}, the limit set by --max-pixels") from None
        except UnreadablePixelsError as error:
            raise ImageFileError(path, str(error)) from None
        except MemoryError:
            raise ImageFileError(path, "does not fit into memory") from None
        except Exception as error:  # on damaged files Pillow's plugins raise nearly every type there is
            text = " ".join(str(error).split()) or type(error).__name__
            raise ImageFileError(path, f"damaged or truncated ({text})") from None


@contextmanager
def _file(path: str | Path | Member) -> Iterator[IO[bytes]]:
    if isinstance(path, Member):
        yield _member(path)
        return
    place = Path(path)
    try:
        if not place.is_file():
            raise ImageFileError(path, "is a folder, not an image" if place.is_dir() else "no such file")
        if place.stat().st_size == 0:
            raise ImageFileError(path, "empty (0 bytes)")
        stream = place.open("rb")
    except (OSError, ValueError) as error:
        raise ImageFileError(
            path, f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        ) from None
    with stream:
        yield stream


def _member(place: Member) -> IO[bytes]:
    if place.size == 0:
        raise ImageFileError(place, "empty (0 bytes)")
    try:
        with place.archive.open("rb") as stream:
            return io.BytesIO(place.read_from(stream))
    except OSError as error:
        raise ImageFileError(place, f"cannot be opened ({error.strerror or error})") from None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a broken EXIF block must not cost the image
        return 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """EXIF 2.32, tag 0x0112: which corner of the picture row 0, column 0 is."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _several(image: Image.Image) -> bool:
    try:
        # Cameras hide previews and depth maps behind a photograph (MPO); nobody misses those.
        return bool(getattr(image, "is_animated", False)) and image.format != "MPO"
    except Exception:  # a broken second frame must not cost the first
        return False


def _narrowed(image: Image.Image) -> bool:
    tiles = getattr(image, "tile", None)
    if not tiles or sample_type(image) != np.uint8:
        return False
    args = tiles[0][3]
    rawmode = args[0] if isinstance(args, tuple) and args else args
    return isinstance(rawmode, str) and ";16" in rawmode
