"""What `denoise_files` and `inpaint_files` share: image files in, repaired image files out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.api.file_results import FileEntry, ProcessedFiles, process_files
from isthmus.api.inputs import DataLike, ImageLike, PathLike, check_count, list_image_files, refuse_unused
from isthmus.errors import DataError, Hint
from isthmus.file_jobs import FileJob, Report, reserve_memory
from isthmus.log import log_note
from isthmus.progress import Progress
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.formats import Header
    from isthmus.images.store import Pixels

# Estimated: copies of the image in several sample types, and the maps of a network over one tile.
_BYTES_PER_PX = 40
_NETWORK_BYTES_PER_PX = 400
_TILE_PX = 896**2

Entry = TypeVar("Entry", bound=FileEntry)


def restore_files(
    label: str,
    inputs: DataLike,
    restore: Callable[[Pixels, FileJob, Report], tuple[Pixels, dict[str, Any]]],
    entry: type[Entry],
    *,
    out: PathLike,
    compare: bool,
    scale: int | None,
    range: tuple[float, float] | None,
    limit: int | None,
    force: bool,
    workers: int | None,
    max_pixels: int,
    progress: Progress | None,
) -> ProcessedFiles[Entry]:
    """Repair each file and write it with its EXIF and ICC metadata.

    Args:
        restore: `(pixels (H, W, C), job, report) -> (pixels, further fields of the entry)`; alpha is the last
            channel, samples are as in the file where `range` is given.
        entry: class of the files' entries.
        compare: also write `NAME-compare.png`, the image before and after.
        scale: of that picture, see `isthmus.images.outputs.beside`.
        range: the samples that stand for black and white.
        limit: at most so many of the images, evenly spaced.

    Raises:
        UsageError, DataError, OutputError: see `process_files`.
    """
    from isthmus.images.cache import memory_bytes
    from isthmus.images.outputs import beside
    from isthmus.images.sample_range import NOISY
    from isthmus.images.write import WRITABLE, save_image

    check_count("scale", scale)
    if scale is not None and not compare:
        refuse_unused("scale", "without a picture to compare", hint=Hint.add(compare=True))

    def work(job: FileJob, report: Report) -> tuple[Entry, Header | None]:
        start = time.monotonic()
        header = _probe(job, max_pixels)
        height, width = (header.height, header.width) if header is not None else job.image.shape[:2]
        size = height * width
        needed = size * _BYTES_PER_PX + min(size, _TILE_PX) * _NETWORK_BYTES_PER_PX
        with reserve_memory(needed, memory_bytes() // 4):
            before, exif, icc = _decode(job, max_pixels, raw=range is not None)
            after, facts = restore(before, job, report)
            height, width = before.shape[:2]
            if job.companion is not None:
                first, second = (_without_alpha(_to_writable(one, range)) for one in (before, after))
                save_image(job.companion, beside(first, second, scale), force=force)
            del before
            save_image(job.target, _to_writable(after, range), force=force, exif=exif, icc=icc)
        restored = entry(
            name=job.name,
            output=os.fspath(job.target),
            height=height,
            width=width,
            seconds=time.monotonic() - start,
            **facts,
        )
        return restored, header

    done = process_files(
        label,
        list_image_files(inputs, limit=limit, range=range, bounds=NOISY),
        work,
        out=out,
        suffix=".png",
        suffixes=WRITABLE,
        force=force,
        workers=workers,
        progress=progress,
        companion="-compare.png" if compare else None,
    )
    _log_dropped([header for _, header in done.values if header is not None])
    entries = tuple(one for one, _ in done.values)
    return ProcessedFiles(entries, done.already_there, done.skipped, done.complete)


def _probe(job: FileJob, max_pixels: int) -> Header | None:
    """The header of a job's file; None for an image of a set, which has none.

    Raises:
        DataError: unreadable, or more than `max_pixels`.
    """
    from isthmus.images.formats import probe

    if job.image is None:
        return probe(job.source, max_pixels=max_pixels)
    height, width = job.image.shape[:2]
    if height * width > max_pixels:
        raise DataError(
            "{source}: more than {megapixels:g} megapixels, the limit of max_pixels",
            id="data.too-large",
            source=job.source,
            megapixels=max_pixels / 1e6,
        )
    return None


def _decode(job: FileJob, max_pixels: int, *, raw: bool) -> tuple[Pixels, bytes | None, bytes | None]:
    """Pixels `(H, W, C)` with alpha last, EXIF and ICC profile."""
    from isthmus.images.formats import decode, metadata

    if job.image is not None:
        return job.image, None, None
    return decode(job.source, alpha="keep", raw=raw, max_pixels=max_pixels), *metadata(job.source)


def log_dropped_parts(image: ImageLike) -> None:
    """Log what is not read of an image file or its bytes: bits beyond the eighth of colour, further pages."""
    from isthmus.images.formats import probe
    from isthmus.images.reading import names_set
    from isthmus.images.sources import content_of, is_encoded

    if is_encoded(image):
        _log_dropped([probe(content_of(image))])
    elif isinstance(image, (str, os.PathLike)) and not names_set(image):
        _log_dropped([probe(Path(image))])


def to_unit_range(pixels: Pixels, value_range: tuple[float, float] | None) -> Pixels:
    """Samples as float32 in which black is 0 and white is 1; as they are where no range is given."""
    import numpy as np

    if value_range is None:
        return pixels
    low, high = value_range
    mapped: Pixels = ((pixels.astype(np.float64) - low) / (high - low)).astype(np.float32)
    return mapped


def _to_writable(pixels: Pixels, value_range: tuple[float, float] | None) -> Pixels:
    """As a file takes samples: what has neither 8 nor 16 bits is mapped by its range."""
    import numpy as np

    return pixels if pixels.dtype in (np.uint8, np.uint16) else to_unit_range(pixels, value_range)


def _without_alpha(pixels: Pixels) -> Pixels:
    return pixels[..., :-1] if pixels.shape[2] in (2, 4) else pixels


def _log_dropped(headers: Sequence[Header]) -> None:
    narrowed = sum(header.narrowed for header in headers)
    several = sum(header.several for header in headers)
    if narrowed:
        log_note(
            "16-bit colour of {images}: read with 8 bits",
            id="reading.images-narrowed",
            images=format_count(narrowed, "image"),
        )
    if several:
        log_note(
            "{files} with several pages or frames: only the first is read",
            id="reading.files-several-pages",
            files=format_count(several, "file"),
        )
