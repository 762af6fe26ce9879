"""Sequences of frames: animated files and folders, read and written."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageSequence

from isthmus.atomic import write_bytes
from isthmus.errors import DataError, OutputError, one_line
from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.opening import FORMATS, MAX_PIXELS, pillow_limits
from isthmus.images.reading import read
from isthmus.images.sample_range import Range
from isthmus.images.store import ImageSet, Pixels

SUFFIXES = (".gif", ".webp", ".png")
MILLISECONDS = 80  # a frame is shown by default
_FORMATS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG"}


def read_frames(sequence: Any, *, channels: int | None = None, range: Range | None = None) -> ImageSet:
    """The frames of an animated GIF, WebP or PNG, the images of a folder in the order of their names, or the
    images of anything else that `read` takes, in their order.

    Numbers in names count by their value: `2.png` comes before `10.png`. Files of a folder that cannot be
    read are in `skipped`.

    Args:
        channels: 1 or 3 to force gray or colour; None keeps gray where every frame is gray.
        range: the samples that stand for black and white, see `isthmus.read`.

    Raises:
        DataError: unreadable, of mixed sizes, or with fewer than two frames.
    """
    place = Path(sequence) if isinstance(sequence, (str, os.PathLike)) else None
    if place is not None and _is_animation(place):
        images = read(_animated(place), range=range)
    else:
        images = read(sequence, range=range)
        if place is not None and place.is_dir():
            names = images.names
            images = images.subset(sorted(np.arange(len(names)), key=lambda index: _by_numbers(names[index])))
    frame_size(images)
    if len(images) < 2:
        raise DataError(
            "{source}: a sequence needs at least two frames",
            id="data.sequence-too-short",
            source=images.source,
        )
    pixels = np.asarray(images.stack(np.arange(len(images))))
    gray = pixels.shape[3] == 3 and channels is None and bool((pixels == pixels[..., :1]).all())
    channels_read = 1 if gray else channels
    if channels_read is not None and channels_read != pixels.shape[3]:
        pixels = to_channels(pixels, channels_read)
    return replace(images, pixels=pixels)


def frame_size(frames: ImageSet) -> tuple[int, int]:
    """`(H, W)` of all frames.

    Raises:
        DataError: they differ.
    """
    if frames.shape is None:
        raise DataError(
            "{source}: the frames of a sequence must have one size",
            id="frames.one-size",
            source=frames.source,
        )
    return frames.shape[0], frames.shape[1]


def milliseconds_of(sequence: Any) -> int:
    """How long a frame of an animation is shown, on average; of anything else `MILLISECONDS`."""
    if not isinstance(sequence, (str, os.PathLike)) or not _is_animation(Path(sequence)):
        return MILLISECONDS
    place = Path(sequence)
    with pillow_limits(MAX_PIXELS), Image.open(place, formats=FORMATS) as opened:
        durations = []
        for frame in ImageSequence.Iterator(opened):
            frame.load()  # WebP has it only then
            durations.append(frame.info.get("duration", 0))
    return round(sum(durations) / len(durations)) or MILLISECONDS


def _is_animation(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in SUFFIXES


def _by_numbers(name: str) -> list[tuple[int, int, str]]:
    words = re.split(r"([0-9]+)", name.replace("/", "\0"))
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word) for word in words if word]


def _animated(path: Path) -> ImageSet:
    try:
        with pillow_limits(MAX_PIXELS), Image.open(path, formats=FORMATS) as opened:
            count = getattr(opened, "n_frames", 1)
            if count * opened.width * opened.height > MAX_PIXELS:
                raise DataError(
                    "{path}: more than {megapixels:g} megapixels in all frames together",
                    id="data.animation-too-large",
                    path=path,
                    megapixels=MAX_PIXELS / 1e6,
                )
            frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)]
    except DataError:
        raise
    except Exception as error:  # decoders raise many types of errors on broken files
        raise DataError(
            "{path}: cannot be read as an animation ({reason})",
            id="data.animation-unreadable",
            path=path,
            reason=one_line(error),
        ) from None
    names = tuple(f"{path.stem}-{index:04d}.png" for index in range(len(frames)))
    return ImageSet(np.stack(frames), names, source=str(path))


def write_frames(
    path: str | Path,
    frames: Sequence[npt.NDArray[Any]] | Pixels,
    *,
    milliseconds: int = MILLISECONDS,
    there_and_back: bool = False,
    least: int = 0,
    force: bool = True,
) -> None:
    """Write frames as an animation that repeats for ever, by the suffix: `.gif`, `.webp` or `.png`.

    Args:
        frames: `(N, H, W[, C])` of one size, uint8 or floats in [0, 1].
        milliseconds: each frame is shown.
        there_and_back: play it backwards, too, and show both ends three times as long.
        least: enlarge small frames by a whole factor until the longer side has so many pixels.

    Raises:
        OutputError: another suffix, no frames, or it cannot be written.
    """
    kind = _FORMATS.get(Path(path).suffix.lower())
    if kind is None:
        raise OutputError(
            "cannot write {path}: the name of an animation must end with .gif, .webp or .png",
            id="output.animation-suffix",
            path=path,
        )
    if len(frames) == 0:
        raise OutputError(
            "cannot write {path}: an animation needs at least one frame", id="output.no-frames", path=path
        )
    pictures = [_picture(frame, least) for frame in frames]
    lengths = [milliseconds] * len(pictures)
    if there_and_back:
        lengths[0] = lengths[-1] = 3 * milliseconds
        pictures += pictures[-2:0:-1]
        lengths += lengths[-2:0:-1]
    stream = io.BytesIO()
    extra: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(
        stream, kind, save_all=True, append_images=pictures[1:], duration=lengths, loop=0, **extra
    )
    write_bytes(path, stream.getvalue(), force=force)


def _picture(frame: npt.NDArray[Any], least: int) -> Image.Image:
    array = np.asarray(frame)
    array = to_dtype(array.astype(np.float32) if array.dtype.kind == "f" else array, np.uint8)
    if array.ndim == 3:
        array = visible_bands(array)
        array = array[..., 0] if array.shape[2] == 1 else array
    factor = max(1, -(-least // max(array.shape[:2])))
    enlarged = np.repeat(np.repeat(array, factor, 0), factor, 1)
    return Image.fromarray(np.ascontiguousarray(enlarged))
