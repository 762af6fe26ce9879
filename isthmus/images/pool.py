"""Decode many files into one buffer: in memory, or into a cached file that is then memory-mapped."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from isthmus.atomic import atomic_write, write_bytes
from isthmus.images.store import Indices, Pixels, Ragged, Skipped, content_hash, shape_images
from isthmus.messages import describe_messages, restore_message
from isthmus.threads import count, map_ordered

MAX_DECODERS = 8  # more would wait for the disk

Progress = Callable[[int, int], None]
Decode = Callable[[range], Sequence[Pixels | str]]


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a run over many files gave.

    Attributes:
        pixels: (N, H, W, C) where all sizes are equal, else a `Ragged`.
        kept: (N,) which of the files these are.
        skipped: the others, each with its reason.
        notes: notes of the caller that are stored with a cached run.
        hashes: (N,) content hashes, where they were taken while the pixels were written to a file.
    """

    pixels: Pixels | Ragged
    kept: Indices
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    hashes: npt.NDArray[np.uint64] | None = None


def into_memory(
    decode: Decode,
    runs: Sequence[range],
    shapes: Indices,
    names: Sequence[str],
    dtype: npt.DTypeLike,
    progress: Progress | None,
) -> Decoded:
    """Decode all files in a thread pool.

    Args:
        decode: gives each file of a run as (H, W, C), or the reason why it cannot be read.
        runs: the files 0..N-1 in order, cut into pieces that one thread takes at a time.
        shapes: (N, 3), what the headers promise.
    """
    flat = np.empty(int(shapes.prod(axis=1).sum()), dtype=dtype)
    rows, skipped, end = [], [], 0
    for index, image in _in_order(decode, runs, progress):
        if isinstance(image, str):
            skipped.append(Skipped(names[index], image))
            continue
        flat[end : end + image.size] = image.reshape(-1)
        end += image.size
        rows.append(index)
    return Decoded(shape_images(flat[:end], shapes[rows]), np.asarray(rows, np.int64), tuple(skipped), ())


def into_cache(
    decode: Decode,
    runs: Sequence[range],
    shapes: Indices,
    names: Sequence[str],
    dtype: npt.DTypeLike,
    progress: Progress | None,
    *,
    entry: Path,
    skipped: tuple[Skipped, ...],
    notes: tuple[str, ...],
) -> Decoded:
    """As `into_memory`, into `entry`.pixels; `skipped` and `notes` so far are stored next to it.

    `entry` is named PLACE-STATE: earlier states of the same place are removed, because they are never used
    again and may be large.

    Raises:
        OutputError: the cache folder cannot be written.
    """
    rows, hashes, broken = [], [], list(skipped)
    with atomic_write(_pixel_file(entry)) as stream:
        for index, image in _in_order(decode, runs, progress):
            if isinstance(image, str):
                broken.append(Skipped(names[index], image))
                continue
            stream.write(np.ascontiguousarray(image).data)
            rows.append(index)
            hashes.append(content_hash(image))
    about = {
        "skipped": [[s.name, s.reason] for s in broken],
        "notes": list(notes),
        "messages": describe_messages([*notes, *(s.reason for s in broken)]),
        "names": list(names),
    }
    index_file = io.BytesIO()
    np.savez(
        index_file,
        kept=np.array(rows, dtype=np.int64),
        hashes=np.array(hashes, dtype=np.uint64),
        shapes=shapes,
        dtype=np.zeros(0, dtype=dtype),
        about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
    )
    # The index is written last: where it stands, the pixels are complete.
    write_bytes(_index_file(entry), index_file.getvalue())
    place, _, _ = entry.name.partition("-")
    for earlier in entry.parent.glob(f"{place}-*"):
        if not earlier.name.startswith(entry.name):
            with suppress(OSError):  # Windows keeps what another process has mapped
                earlier.unlink()
    cached = from_cache(entry)
    assert cached is not None
    return cached[0]


def from_cache(entry: Path) -> tuple[Decoded, tuple[str, ...]] | None:
    """An earlier run's pixels as a memory map, and the names of its files; None without a complete one."""
    # NumPy and zipfile raise nearly every type on damaged files, EOFError on empty ones; on any fault of a
    # cached file it is made again.
    with suppress(Exception):
        with _index_file(entry).open("rb") as stream, np.load(stream, allow_pickle=False) as index:
            rows, shapes, dtype = index["kept"], index["shapes"], index["dtype"].dtype
            hashes = index["hashes"]
            about = json.loads(index["about"].tobytes())
        messages = about.get("messages")  # none in files of earlier versions
        skipped = tuple(Skipped(name, restore_message(reason, messages)) for name, reason in about["skipped"])
        if len(rows) == 0:
            return Decoded(shape_images(np.empty(0, dtype), shapes[rows]), rows, skipped, ()), ()
        flat = np.memmap(_pixel_file(entry), dtype=dtype, mode="r")
        if flat.size != int(shapes[rows].prod(axis=1).sum()):
            return None
        notes = tuple(restore_message(note, messages) for note in about["notes"])
        decoded = Decoded(shape_images(flat, shapes[rows]), rows, skipped, notes, hashes)
        return decoded, tuple(about["names"])
    return None


def _in_order(
    decode: Decode, runs: Sequence[range], progress: Progress | None
) -> Iterator[tuple[int, Pixels | str]]:
    """Decode all runs in a few threads, yielding every file in order; a broken one yields its reason."""
    workers = min(MAX_DECODERS, count())
    # A window limits the decoded images in memory where the disk is slower than the decoder.
    for run, images in zip(runs, map_ordered(decode, runs, workers=workers, ahead=workers), strict=True):
        for index, image in zip(run, images, strict=True):
            yield index, image
            if progress is not None:
                progress(index + 1, runs[-1].stop)


def _pixel_file(entry: Path) -> Path:
    return entry.with_name(entry.name + ".pixels")


def _index_file(entry: Path) -> Path:
    return entry.with_name(entry.name + ".npz")
