"""One image file opened with Pillow: only formats of an allow-list, limits checked first, all failures as one
error type.

Pillow's size limit and warnings are settings of the process; they are changed only while an image is opened.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL import Image, UnidentifiedImageError

from isthmus.errors import DataError, Hint
from isthmus.images.deep import DeepImage
from isthmus.images.deep_files import open_deep, open_refused
from isthmus.images.heif import IS_READ as READS_HEIF
from isthmus.images.heif import SUFFIXES as HEIF_SUFFIXES
from isthmus.images.heif import open_image
from isthmus.images.modes import scale_key
from isthmus.images.sample_range import UnreadablePixelsError
from isthmus.images.tiff_bands import find_pictures, is_tiff, open_bands, suits_pillow
from isthmus.images.unread_kinds import START_BYTES, find_kind
from isthmus.input_files import NotAFileError, open_input
from isthmus.messages import Message

# Without any handler Python prints what Pillow logs about damaged files to stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# What Pillow does not read of TIFF is read elsewhere (`tiff_bands`).
logging.getLogger("PIL.TiffImagePlugin").addFilter(lambda record: "More samples" not in record.msg)

_guard = threading.Lock()
_active: list[int] = []
_before: list[Any] = []


@contextmanager
def pillow_limits(max_pixels: int) -> Iterator[None]:
    """Within: Pillow accepts images of up to `max_pixels` and prints no warnings.

    Both are settings of the whole process, so the first to enter changes them and the last to leave puts them
    back; threads may nest and overlap.
    """
    with _guard:
        if not _active:
            quiet = warnings.catch_warnings()
            quiet.__enter__()
            warnings.simplefilter("ignore")
            _before[:] = [Image.MAX_IMAGE_PIXELS, quiet]
        _active.append(max_pixels)
        # Pillow refuses above twice this number.
        Image.MAX_IMAGE_PIXELS = (max(_active) + 1) // 2
    try:
        yield
    finally:
        with _guard:
            _active.remove(max_pixels)
            if not _active:
                Image.MAX_IMAGE_PIXELS = _before[0]
                _before[1].__exit__(None, None, None)


FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "DIB", "GIF", "PPM", "JPEG2000")
KINDS = "PNG, JPEG, WebP, AVIF, TIFF, BMP, GIF, PNM, JPEG 2000" + ", HEIC" * READS_HEIF
_SUFFIXES_BY_KIND = (
    (".png", ".apng"),
    (".jpg", ".jpeg", ".jpe", ".jfif"),
    (".webp", ".avif"),
    (".tif", ".tiff", ".btf", ".tf8"),
    (".bmp", ".dib", ".gif"),
    (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    (".jp2", ".j2k", ".jpx", ".jpf", ".jpc"),
    HEIF_SUFFIXES if READS_HEIF else (),
)
SUFFIXES = frozenset(suffix for kind in _SUFFIXES_BY_KIND for suffix in kind)
MAX_PIXELS = 512_000_000


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


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an image file that is not on disk, and what to call it."""

    data: bytes
    name: str = "image"

    def __str__(self) -> str:
        return self.name


Source = str | Path | Member | Content


class ImageFileError(DataError):
    """One image file cannot be read; its message is "PATH: REASON".

    Attributes:
        reason: the message without the file's name, with the same id.
    """

    def __init__(
        self,
        path: Source,
        template: str,
        /,
        *,
        hint: Hint | str | None = None,
        id: str = "image-file.problem",
        **fields: object,
    ) -> None:
        reason = template if isinstance(template, Message) else Message(template, id=id, **fields)
        super().__init__("{path}: {reason}", id=reason.id, hint=hint, path=str(path), reason=str(reason))
        self.reason = reason
        self.fields = self.message.fields = {"path": str(path), **reason.fields}


@contextmanager
def opened(
    path: Source, max_pixels: int, *, content: bytes | None = None, bands: bool = False
) -> Iterator[Image.Image | DeepImage]:
    """The image, not decoded yet. All failures within are raised as errors of this file.

    With `content`, the file's bytes, it is not opened again. What Pillow would misread is a
    `DeepImage`; with `bands` also TIFF of other channels than gray, colour and alpha.

    Raises:
        ImageFileError: missing, empty, damaged, not an image of a kind read here, or above `max_pixels`.
    """
    file: AbstractContextManager[IO[bytes]]
    file = nullcontext(io.BytesIO(content)) if content else open_source(path)
    with naming_faults(path, max_pixels), file as stream, identify(stream, max_pixels, bands) as image:
        check_size(image, max_pixels)
        yield image


@contextmanager
def naming_faults(path: Source, max_pixels: int) -> Iterator[None]:
    """Within, Pillow's limits are set, and every failure is raised as an error of this file.

    Raises:
        ImageFileError: see `opened`.
    """
    with pillow_limits(max_pixels):
        try:
            yield
        except ImageFileError:
            raise
        except UnidentifiedImageError:
            if (unread := find_kind(Path(str(path)).name, _read_start(path))) is not None:
                kind, advice = unread
                raise ImageFileError(
                    path,
                    "{kind} files are not read; {advice}",
                    id="image-file.unread-kind",
                    kind=kind,
                    advice=advice,
                ) from None
            raise ImageFileError(
                path, "not an image of a kind read here ({kinds})", id="image-file.unknown-kind", kinds=KINDS
            ) from None
        except Image.DecompressionBombError:
            raise ImageFileError(
                path,
                "more than {megapixels:g} megapixels, the limit of max_pixels",
                id="image-file.too-large",
                megapixels=max_pixels / 1e6,
            ) from None
        except UnreadablePixelsError as error:
            raise ImageFileError(path, error.message, hint=error.hint) from None
        except MemoryError:
            raise ImageFileError(path, "does not fit into memory", id="image-file.memory") from None
        except Exception as error:  # Pillow's plugins raise nearly every type of error on damaged files
            text = "" if isinstance(error, KeyError) else " ".join(str(error).split())
            text = text or type(error).__name__
            raise ImageFileError(
                path, "damaged or truncated ({reason})", id="image-file.damaged", reason=text
            ) from None


def _read_start(path: Source) -> bytes:
    with open_source(path) as stream:
        return stream.read(START_BYTES)


def check_size(image: Image.Image | DeepImage, max_pixels: int) -> None:
    """Raises Image.DecompressionBombError where an image has more pixels."""
    if image.width * image.height > max_pixels:
        raise Image.DecompressionBombError


def identify(stream: IO[bytes], max_pixels: int, bands: bool, page: int = 0) -> Image.Image | DeepImage:
    """The image that an open file holds, not decoded yet; errors are those of the decoders.

    Args:
        page: of a file with several, its place in the file.
    """
    try:
        image = open_image(stream, FORMATS)
    except OSError:
        stream.seek(0)
        if is_tiff(stream.read(4)):
            return open_bands(stream, max_pixels, page or find_pictures(stream)[0], bands=bands)
        refused = open_refused(stream, max_pixels)
        if refused is None:
            raise
        return refused
    if image.format == "TIFF":
        if not page:
            page = find_pictures(stream)[0]  # a smaller copy may stand before it
        if page:
            image.seek(page)
        if suits_pillow(image, bands=bands):
            return image
        return open_bands(stream, max_pixels, page, bands=bands)
    if page:
        image.seek(page)
    scale_key(image, stream)
    check_size(image, max_pixels)
    return (None if page else open_deep(image, stream)) or image


@contextmanager
def open_source(path: Source) -> Iterator[IO[bytes]]:
    """The file, open for reading.

    Raises:
        ImageFileError: missing, empty, no file, or it cannot be opened.
    """
    if isinstance(path, Member):
        yield _member(path)
        return
    if isinstance(path, Content):
        if not path.data:
            raise ImageFileError(path, "empty (0 bytes)", id="image-file.empty")
        yield io.BytesIO(path.data)
        return
    place = Path(path)
    try:
        stream = open_input(place)
        if os.fstat(stream.fileno()).st_size == 0:
            stream.close()
            raise ImageFileError(path, "empty (0 bytes)", id="image-file.empty")
    except ImageFileError:
        raise
    except FileNotFoundError:
        raise ImageFileError(path, "no such file", id="image-file.missing") from None
    except IsADirectoryError:
        raise ImageFileError(path, "is a folder, not an image", id="image-file.is-folder") from None
    except NotAFileError as error:
        raise ImageFileError(path, "{reason}", id="image-file.special-file", reason=error.strerror) from None
    except (OSError, ValueError) as error:
        raise ImageFileError(
            path,
            "cannot be opened ({reason})",
            id="image-file.cannot-open",
            reason=getattr(error, "strerror", None) or error,
        ) from None
    with stream:
        yield stream


def _member(place: Member) -> IO[bytes]:
    if place.size == 0:
        raise ImageFileError(place, "empty (0 bytes)", id="image-file.empty")
    try:
        with place.archive.open("rb") as stream:
            return io.BytesIO(place.read_from(stream))
    except (OSError, OverflowError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageFileError(
            place, "cannot be opened ({reason})", id="image-file.cannot-open", reason=reason
        ) from None
