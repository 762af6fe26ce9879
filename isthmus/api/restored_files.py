"""What `denoise_files` and `inpaint_files` share: image files in, repaired image files out."""

from __future__ import annotations

import builtins
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.api.compressed_inputs import log_lost
from isthmus.api.file_results import FileEntry, ProcessedFiles, process_files
from isthmus.api.inputs import DataLike, ImageLike, PathLike, check_count, list_image_files, refuse_unused
from isthmus.errors import DataError, Hint, OutputError
from isthmus.file_jobs import FileJob, Report, reserve_memory
from isthmus.log import log_note
from isthmus.progress import Progress
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.formats import Header
    from isthmus.images.metadata import Metadata
    from isthmus.images.store import Pixels

# Estimated: copies of the image in several sample types, and the maps of a network over one tile.
_BYTES_PER_PX = 40
_NETWORK_BYTES_PER_PX = 400
_TILE_PX = 896**2

FURTHER_PAGES = "further pages or frames"
FURTHER_BITS = "bits beyond the eighth"
FLOATS = "float samples, rounded to whole numbers"
SMALLER_COPIES = "smaller copies and masks of its pages"

Entry = TypeVar("Entry", bound=FileEntry)


@dataclass(frozen=True)
class PageJob:
    """One page or frame of a job's file: its place in it from 0, and how many there are."""

    job: FileJob
    index: int = 0
    count: int = 1


def restore_files(
    label: str,
    inputs: DataLike,
    restore: Callable[[Pixels, PageJob, Report], tuple[Pixels, dict[str, Any]]],
    entry: type[Entry],
    *,
    out: PathLike,
    compare: bool,
    scale: int | None,
    range: tuple[float, float] | None,
    limit: int | None,
    force: bool,
    in_place: bool,
    workers: int | None,
    max_pixels: int,
    progress: Progress | None,
) -> ProcessedFiles[Entry]:
    """Repair all pages or frames of each file and write them with the file's metadata.

    What the written format does not hold of it is logged and in the files' entries.

    Args:
        restore: `(pixels (H, W, C), page, report) -> (pixels, further fields of the entry)`; alpha is the
            last channel, samples are as in the file where `range` is given. Of several pages the entry has
            the fields of the first, and the mean of `missing`.
        entry: class of the files' entries.
        compare: also write `NAME-compare.png`, the image before and after.
        scale: of that picture, see `isthmus.images.outputs.place_side_by_side`.
        range: the sample values of black and white.
        limit: at most this many of the images, evenly spaced.
        in_place: `out` is the folder of the images, and each is replaced by its result in its own format.

    Raises:
        UsageError, DataError, OutputError: see `process_files`.
    """
    from isthmus.atomic import write_bytes
    from isthmus.images.cache import memory_bytes
    from isthmus.images.metadata import lost_parts
    from isthmus.images.outputs import place_side_by_side
    from isthmus.images.pages import encode_pages
    from isthmus.images.sample_range import NOISY
    from isthmus.images.write import WRITABLE, save_image, writer_of

    check_count("scale", scale)
    if scale is not None and not compare:
        refuse_unused("scale", "without a picture to compare", hint=Hint.add(compare=True))

    lost: Counter[str] = Counter()

    def work(job: FileJob, report: Report) -> tuple[Entry, Header | None]:
        start = time.monotonic()
        kind, _ = writer_of(job.target)
        header = _probe(job, max_pixels)
        height, width = (header.height, header.width) if header is not None else job.image.shape[:2]
        size = height * width
        needed = size * _BYTES_PER_PX + min(size, _TILE_PX) * _NETWORK_BYTES_PER_PX
        with (
            reserve_memory(needed, memory_bytes() // 4),
            _open_job(job, max_pixels, raw=range is not None) as source,
        ):
            count = source.count_for(job.target)
            if header is not None and (header.several or source.count > 1) and count == 1:
                _check_keeps_pages(job)
            pages, parts, missing = [], set(source.left_out), []
            for index in builtins.range(count):
                before = source.read(index)
                page = PageJob(job, index, source.count)
                after, page_facts = restore(before, page, _part_of(report, index, count))
                missing.append(page_facts.get("missing", 0.0))
                if index == 0:
                    facts, (height, width) = page_facts, before.shape[:2]
                    if job.companion is not None:
                        first, second = (
                            _without_alpha(_to_writable(image, range)) for image in (before, after)
                        )
                        save_image(job.companion, place_side_by_side(first, second, scale), force=force)
                pixels, reduced = fit_to_format(_to_writable(after, range), job.target)
                parts.update(reduced)
                pages.append(pixels)
                del before, after
            metadata = source.metadata
            parts.update(lost_parts(kind, metadata))
            write_bytes(
                job.target,
                encode_pages(job.target, pages, metadata=metadata, timing=source.timing()),
                force=force or in_place,
            )
        if "missing" in facts:
            facts["missing"] = statistics.fmean(missing)
        if count == 1 and header is not None and header.several:
            parts.add(FURTHER_PAGES)
        lost.update(parts)
        entry_made = entry(
            name=job.name,
            output=os.fspath(job.target),
            height=height,
            width=width,
            seconds=time.monotonic() - start,
            pages=count,
            lost="; ".join(sorted(parts)),
            **facts,
        )
        return entry_made, header

    files = list_image_files(inputs, limit=limit, range=range, bounds=NOISY, out=out, in_place=in_place)
    done = process_files(
        label,
        files,
        work,
        out=out,
        suffix=[_suffix_for(path, in_place=in_place) for path, _ in files.files],
        suffixes=WRITABLE,
        force=force or in_place,
        workers=workers,
        progress=progress,
        companion="-compare.png" if compare else None,
    )
    _log_dropped([header for _, header in done.values if header is not None])
    if pages := lost.pop(FURTHER_PAGES, 0):
        _log_several(pages)
    log_lost(lost)
    entries = tuple(entry_made for entry_made, _ in done.values)
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


@dataclass(frozen=True)
class _Source:
    """The pictures of a job, and the other contents of its file."""

    count: int
    animated: bool
    read: Callable[[int], Pixels]
    timing: Callable[[], Any]
    metadata: Metadata
    left_out: tuple[str, ...] = ()

    def count_for(self, target: Path) -> int:
        """How many of the pictures a file can hold."""
        from isthmus.images.pages import holds_pages

        return self.count if self.count == 1 or holds_pages(target, animated=self.animated) else 1


@contextmanager
def _open_job(job: FileJob, max_pixels: int, *, raw: bool) -> Iterator[_Source]:
    from isthmus.images.metadata import Metadata, read_metadata
    from isthmus.images.pages import open_pages
    from isthmus.images.sample_range import NOISY

    if job.image is not None:
        yield _Source(1, False, lambda _: job.image, lambda: None, Metadata())
        return
    metadata = read_metadata(job.source)
    with open_pages(job.source, max_pixels=max_pixels, raw=raw, bounds=NOISY) as pages:
        left_out = (SMALLER_COPIES,) if pages.copies else ()
        timing = pages.timing if pages.animated else lambda: None
        yield _Source(pages.count, pages.animated, pages.read, timing, metadata, left_out)


def _check_keeps_pages(job: FileJob) -> None:
    """Raises:
    OutputError: the output would replace a file by the first of its pages.
    """
    if job.target.exists() and job.target.samefile(job.source):
        raise OutputError(
            "cannot write {target}: only the first of its pages or frames would be left",
            id="output.loses-pages",
            target=job.target,
        )


def _suffix_for(path: Path, *, in_place: bool) -> str:
    """The suffix of an image's result in a folder: `.png`, or `.tif` for what a PNG does not hold."""
    from isthmus.images.formats import probe
    from isthmus.images.write import TIFF_SUFFIXES

    if in_place:  # under no other name: `work` refuses what is not written
        return path.suffix
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return ".png"
    try:
        header = probe(path)
    except DataError:
        return ".png"
    return ".tif" if header.several or header.dtype.kind == "f" else ".png"


def _part_of(report: Report, index: int, count: int) -> Report:
    return lambda share: report((index + share) / count)


def fit_to_format(pixels: Pixels, target: Path) -> tuple[Pixels, tuple[str, ...]]:
    """Samples as the format of `target` holds them, and words for what of them it does not."""
    import numpy as np

    from isthmus.images.conform import to_dtype
    from isthmus.images.gif_frames import harden_alpha, lost_in_gif
    from isthmus.images.write import holds_sixteen_bits, writer_of

    kind = writer_of(target)[0]
    deep = holds_sixteen_bits(target) and not (kind == "PPM" and pixels.shape[2] in (2, 4))
    lost: tuple[str, ...] = ()
    if pixels.dtype == np.uint16 and not deep:
        pixels, lost = to_dtype(pixels, np.uint8), (FURTHER_BITS,)
    elif pixels.dtype not in (np.uint8, np.uint16):
        pixels = np.asarray(pixels, dtype=np.float32)
        if kind == "TIFF":
            return pixels, ()
        pixels, lost = to_dtype(pixels, np.uint16 if deep else np.uint8), (FLOATS,)
    if kind == "GIF":
        lost = (*lost, *lost_in_gif(pixels))
        pixels = harden_alpha(pixels)
    return pixels, lost


def log_dropped_parts(image: ImageLike) -> None:
    """Log the parts that are not read of an image file, its bytes or an open image: bits, further pages."""
    from isthmus.images.array_format import holds_file
    from isthmus.images.reading import names_set
    from isthmus.images.sources import probe_source

    is_set = isinstance(image, (str, os.PathLike)) and names_set(image)
    if holds_file(image) and not is_set:
        _log_dropped([probe_source(image)], read=True)


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


def _log_dropped(headers: Sequence[Header], *, read: bool = False) -> None:
    narrowed = sum(header.narrowed for header in headers)
    several = sum(header.several for header in headers) if read else 0
    if narrowed:
        log_note(
            "{images} with more than 8 bits per sample: files of this kind are read with 8",
            id="reading.images-narrowed",
            images=format_count(narrowed, "image"),
        )
    if several:
        _log_several(several)


def _log_several(count: int) -> None:
    log_note(
        "{files} with several pages or frames: only the first is read",
        id="reading.files-several-pages",
        files=format_count(count, "file"),
    )
