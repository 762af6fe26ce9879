"""Files of several pictures: pages of a TIFF, frames of a GIF, WebP or PNG, read and written in turn."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from isthmus.errors import OutputError
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.formats import pixels_from
from isthmus.images.gif_frames import as_gif_frame
from isthmus.images.metadata import Metadata, pillow_options, with_png_metadata
from isthmus.images.opening import Source, check_size, identify, naming_faults, open_source
from isthmus.images.sample_range import UNIT, Range
from isthmus.images.store import Pixels
from isthmus.images.tiff_bands import count_copies, find_pictures, is_tiff
from isthmus.images.write import as_pillow, encode_image, encode_tiff, encoder_error, writer_of

MILLISECONDS = 100  # that a frame is shown, where the file has no duration
_ANIMATED = ("GIF", "WEBP", "PNG")


@dataclass(frozen=True)
class Timing:
    """How the frames of an animation are shown.

    Attributes:
        milliseconds: of each frame.
        repeats: how often it is played; 0 for ever, None once.
    """

    milliseconds: tuple[int, ...]
    repeats: int | None = 0


@dataclass(frozen=True)
class PageReader:
    """The pictures of an open file.

    Attributes:
        count: of the pictures.
        animated: they are frames of an animation, all of one size.
        copies: further pages that are no pictures of their own, smaller copies and masks.
    """

    count: int
    animated: bool
    copies: int
    _read: Callable[[int], tuple[Pixels, Any]]
    _timing: list[Any]

    def read(self, index: int) -> Pixels:
        """(H, W, C) of one picture, alpha last."""
        pixels, info = self._read(index)
        self._timing.append(info)
        return pixels

    def timing(self) -> Timing:
        """Of the frames that were read."""
        shown = [round(float(info.get("duration") or 0)) for info in self._timing]
        loops = [info.get("loop") for info in self._timing]
        repeats = next((int(loop) for loop in loops if isinstance(loop, int)), None)
        return Timing(tuple(milliseconds or MILLISECONDS for milliseconds in shown), repeats)


@contextmanager
def open_pages(
    path: Source, *, max_pixels: int, raw: bool = False, bounds: Range = UNIT
) -> Iterator[PageReader]:
    """Open a file to read its pictures one after another.

    Args:
        max_pixels: larger pictures are refused.
        raw, bounds: as for `formats.decode`.

    Raises:
        ImageFileError: as `formats.decode`, also while a picture is read.
    """
    with open_source(path) as stream:
        with naming_faults(path, max_pixels):
            places, first, animated, copies = _list_pictures(stream, max_pixels)

        def read(index: int) -> tuple[Pixels, Any]:
            with naming_faults(path, max_pixels):
                if animated:
                    image = first
                    image.seek(index)
                else:
                    stream.seek(0)
                    image = identify(stream, max_pixels, False, places[index])
                check_size(image, max_pixels)
                pixels = pixels_from(image, "keep", raw=raw, bounds=bounds)
                return pixels, dict(getattr(image, "info", {}))

        yield PageReader(len(places), animated, copies, read, [])


def holds_pages(path: str | Path, *, animated: bool) -> bool:
    """Whether the format that this name's suffix stands for holds several pictures of this kind."""
    kind, _ = writer_of(path)
    return kind == "TIFF" or (animated and kind in _ANIMATED)


def encode_pages(
    name: str | Path,
    pages: Sequence[Pixels],
    *,
    metadata: Metadata,
    timing: Timing | None,
) -> bytes:
    """Pictures as one file, in the format that the suffix of `name` stands for; one as `encode_image`.

    Args:
        pages: (H, W, C) uint8, uint16 or float32 each; floats are kept in a TIFF and have 8 bits elsewhere.
        metadata: of the first.
        timing: of frames; where none is given, as pages.

    Raises:
        OutputError: the format does not hold them.
    """
    kind, options = writer_of(name)
    try:
        if kind == "TIFF" and (len(pages) > 1 or pages[0].dtype == np.float32):
            return encode_tiff(pages, alpha=True, metadata=metadata)
        if len(pages) == 1:
            return encode_image(name, pages[0], metadata=metadata)
        return _encode_frames(kind, options, pages, metadata, timing or Timing((MILLISECONDS,) * len(pages)))
    except OutputError:
        raise
    except Exception as error:  # encoders raise many types of errors
        raise encoder_error(name, kind, error) from None


def _list_pictures(stream: IO[bytes], max_pixels: int) -> tuple[list[int], Any, bool, int]:
    start = stream.read(4)
    stream.seek(0)
    if is_tiff(start):
        pictures = find_pictures(stream)
        return pictures, None, False, count_copies(stream)
    image = identify(stream, max_pixels, False)
    if isinstance(image, Image.Image) and image.format in _ANIMATED:
        count = int(getattr(image, "n_frames", 1))
        if count > 1:
            return list(range(count)), image, True, 0
    return [0], None, False, 0


def _encode_frames(
    kind: str, options: dict[str, Any], pages: Sequence[Pixels], metadata: Metadata, timing: Timing
) -> bytes:
    channels = 4 if any(page.shape[2] in (2, 4) for page in pages) else 3
    as_image = as_gif_frame if kind == "GIF" else as_pillow
    frames = [as_image(_as_frame(page, channels)) for page in pages]
    more: dict[str, Any] = {
        "duration": list(timing.milliseconds),
        **options,
        **pillow_options(kind, metadata),
    }
    if timing.repeats is not None:
        more["loop"] = timing.repeats
    if kind == "GIF" and channels == 4:
        more["disposal"] = 2
    if kind == "PNG":
        more.setdefault("loop", 1)
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:], **more)
    packed = stream.getvalue()
    return with_png_metadata(packed, metadata) if kind == "PNG" else packed


def _as_frame(page: Pixels, channels: int) -> Pixels:
    """Gray or colour, with alpha or without, as 8 bits of 3 or 4 channels."""
    pixels = to_dtype(page, np.uint8)
    if channels == 3:
        return to_channels(pixels, 3)
    has_alpha = pixels.shape[2] in (2, 4)
    colour = pixels[..., :-1] if has_alpha else pixels
    opacity = pixels[..., -1:] if has_alpha else np.full_like(pixels[..., :1], 255)
    return np.concatenate([to_channels(colour, 3), opacity], axis=2)
