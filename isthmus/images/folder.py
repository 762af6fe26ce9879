"""Listed image files -> ImageSet. Sub-folders are labels; broken files are left out."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from isthmus.errors import DataError, Hint
from isthmus.images import pool
from isthmus.images.cache import cache_folder, memory_bytes
from isthmus.images.conform import check_request
from isthmus.images.formats import Header, decode
from isthmus.images.listing import ImageFile, Listing, labels_of
from isthmus.images.opening import ImageFileError, pillow_limits
from isthmus.images.runs import ReadOptions, Runs, look
from isthmus.images.sample_range import Range
from isthmus.images.store import ImageSet, Pixels, Ragged
from isthmus.locks import exclusive
from isthmus.messages import Message
from isthmus.wording import choose_word, format_count


def read_listed(listed: Listing, source: str, options: ReadOptions) -> ImageSet:
    """Read every image of a listing, such as `shards.list_folder` gives; `source` names it.

    A file that cannot be read is listed in `skipped`. When every image lies in a sub-folder, the first folder
    of its name is its label. If any image is colour, all become colour of 8 bits; gray images have 16 bits if
    any has. Sizes stay mixed unless `size` is given.

    Raises:
        DataError: no image that can be read.
        BusyError: another process is decoding the same folder into the cache.
        UsageError: impossible `size` or `channels`.
    """
    check_request(size=options.size, channels=options.channels)
    files, value_range = listed.files, options.value_range
    place = cache_folder() / "folders" if options.cache is None else Path(options.cache)
    asked = f"{options.size} {options.channels} {options.max_pixels}" + (
        f" {value_range}" if value_range else ""
    )
    with pillow_limits(options.max_pixels):
        decoded, names = _decode_all(
            source, files, options, place / _digest(f"{Path(source).resolve()} {asked}")
        )
    if len(decoded.kept) == 0:
        first = decoded.skipped[0]
        raise DataError(
            "{source}: none of its {images} can be read; {name}: {reason}",
            id="data.folder-unreadable",
            hint=next((_find_hint(file, value_range) for file in files if file.name == first.name), None),
            source=source,
            images=format_count(len(decoded.skipped), "image"),
            name=first.name,
            reason=first.reason,
        )
    by_name = {file.name: file for file in files}
    files_read = [by_name[names[i]] for i in decoded.kept]
    labels, classes = labels_of(files, files_read)
    images = ImageSet(
        pixels=decoded.pixels,
        names=tuple(file.name for file in files_read),
        labels=labels,
        classes=classes,
        groups=tuple(file.group for file in files_read) if any(file.group for file in files_read) else (),
        source=source,
        skipped=tuple(sorted((*listed.skipped, *decoded.skipped), key=lambda s: s.name.split("/"))),
        notes=decoded.notes + _size_notes(decoded.pixels) + listed.notes,
    )
    return images if decoded.hashes is None else images.with_hashes(decoded.hashes)


def _find_hint(file: ImageFile, value_range: Range | None) -> Hint | None:
    """The hint of the error of an unreadable file, if it has one."""
    try:
        decode(file.source, value_range=value_range)
    except ImageFileError as error:
        return error.hint
    return None


def _decode_all(
    folder: str | Path, files: list[ImageFile], options: ReadOptions, request: Path
) -> tuple[pool.Decoded, tuple[str, ...]]:
    size, channels, progress = options.size, options.channels, options.progress
    map_above = memory_bytes() // 4 if options.map_above is None else options.map_above
    map_above = map_above if options.cache is None else 0
    # The times of a million files take long to read, so only if there is an earlier cache entry.
    if any(request.parent.glob(f"{request.name}-*")):
        earlier = pool.from_cache(_entry(request, files))
        if earlier is not None and len(earlier[0].kept):
            return earlier

    looked = look(files, options)
    skipped, headers = tuple(looked.skipped), looked.headers
    if not headers:
        return pool.Decoded(np.empty((0, 1, 1, 1), np.uint8), np.empty(0, np.int64), skipped, ()), ()

    channels_read = channels or _common_channels(headers, [file.name for file in looked.files])
    dtype = np.result_type(*{header.dtype for header in headers})
    deep = any(header.channels == 3 and header.dtype == np.uint16 for header in headers)
    if channels_read == 3 and dtype == np.uint16 and not deep:
        dtype = np.dtype(np.uint8)  # a few gray images of 16 bits do not double the memory of all
    shapes = np.array([(*(size or (h.height, h.width)), channels_read) for h in headers], dtype=np.int64)
    mapped = int(shapes.prod(axis=1).sum()) * dtype.itemsize > map_above
    names = tuple(file.name for file in looked.files)
    notes = _notes(headers, channels_read, dtype)
    # The state that names the mapped file must be no younger than the pixels in it.
    runs = Runs(looked, channels_read, dtype, options, afresh=mapped)
    cut = runs.cut(shapes)
    if mapped:
        why = "as asked" if map_above == 0 else "too many for memory"
        notes += (
            Message(
                "pixels lie in a file that is mapped into memory ({reason})", id="reading.mapped", reason=why
            ),
        )
        entry = _entry(request, files)
        with exclusive(request, name=f"the decoded pixels of {folder}"):
            return pool.into_cache(
                runs.decode, cut, shapes, names, dtype, progress, entry=entry, skipped=skipped, notes=notes
            ), names
    result = pool.into_memory(runs.decode, cut, shapes, names, dtype, progress)
    return pool.Decoded(result.pixels, result.kept, skipped + result.skipped, notes), names


def _common_channels(headers: list[Header], names: list[str]) -> int:
    """The channels of all images: those of colour where gray and colour are mixed.

    Raises:
        DataError: other numbers of channels are mixed.
    """
    counts = [header.channels for header in headers]
    if not set(counts) <= {1, 3} and len(set(counts)) > 1:
        other = next(index for index, count in enumerate(counts) if count != counts[0])
        raise DataError(
            "{name} has {channels} and {other} has {others}: only gray and colour may be mixed",
            id="data.channels-mixed",
            name=names[0],
            channels=format_count(counts[0], "channel"),
            other=names[other],
            others=counts[other],
        )
    return max(counts)


def _entry(request: Path, files: list[ImageFile]) -> Path:
    return request.with_name(f"{request.name}-{_state(files)}")


def _state(files: list[ImageFile]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    last, state = None, ""
    for file in files:
        if file.place != last:  # the many files of a shard have one time and one size
            last, state = file.place, _time_and_size(file.place)
        digest.update(f"{file.name}\0{state}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _time_and_size(path: str) -> str:
    try:
        stat = Path(path).stat()
    except OSError:
        return "gone"
    return f"{stat.st_mtime_ns} {stat.st_size}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _notes(headers: list[Header], channels: int, dtype: np.dtype[np.generic]) -> tuple[str, ...]:
    total, notes = len(headers), []
    colour = sum(header.channels == 3 for header in headers)
    if channels == 3 and colour < total:
        notes.append(
            Message(
                "{colour} of {images} {verb} colour: all read as colour",
                id="reading.as-colour",
                colour=colour,
                images=format_count(total, "image"),
                verb=choose_word(colour, "is", "are"),
            )
        )
    if channels == 1 and colour:
        notes.append(
            Message(
                "{colour} of {images} {verb} colour: all read as gray",
                id="reading.as-gray",
                colour=colour,
                images=format_count(total, "image"),
                verb=choose_word(colour, "is", "are"),
            )
        )
    if transparent := sum(header.transparent for header in headers):
        notes.append(
            Message(
                "{transparent} of {images} {verb} transparent parts: laid on white",
                id="reading.transparent",
                transparent=transparent,
                images=format_count(total, "image"),
                verb=choose_word(transparent, "has", "have"),
            )
        )
    if len(kinds := {header.dtype for header in headers}) > 1:
        notes.append(
            Message(
                "sample types are mixed ({types}): all scaled to {dtype}",
                id="reading.types-mixed",
                types=", ".join(sorted(map(str, kinds))),
                dtype=dtype,
            )
        )
    if narrowed := sum(header.narrowed for header in headers):
        notes.append(
            Message(
                "{narrowed} of {images} {verb} more than 8 bits per sample: files of this kind "
                "are read with 8",
                id="reading.narrowed",
                narrowed=narrowed,
                images=format_count(total, "image"),
                verb=choose_word(narrowed, "has", "have"),
            )
        )
    if paged := sum(header.paged for header in headers):
        notes.append(
            Message(
                "the pages of {paged} of {files} are read as the channels of one image",
                id="reading.pages-as-channels",
                paged=paged,
                files=format_count(total, "file"),
            )
        )
    if several := sum(header.several for header in headers):
        notes.append(
            Message(
                "{several} of {files} {verb} several pages or frames: only the first is read",
                id="reading.several-pages",
                several=several,
                files=format_count(total, "file"),
                verb=choose_word(several, "holds", "hold"),
            )
        )
    return tuple(notes)


def _size_notes(pixels: Pixels | Ragged) -> tuple[str, ...]:
    if not isinstance(pixels, Ragged):
        return ()
    heights, widths = pixels.shapes[:, 0], pixels.shapes[:, 1]
    span = f"heights {heights.min()} to {heights.max()}, widths {widths.min()} to {widths.max()} pixels"
    return (Message("image sizes are mixed ({span}): kept as they are", id="reading.sizes-mixed", span=span),)
