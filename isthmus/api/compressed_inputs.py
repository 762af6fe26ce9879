"""What `compress_files` and uses of compressed files read, and what of it a compressed file does not hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import DataError
from isthmus.file_jobs import FileJob, InputFiles
from isthmus.log import SkippedInput, log_note
from isthmus.messages import Message
from isthmus.wording import format_count


@dataclass(frozen=True)
class Dropped:
    """The parts of an image file that its compressed file does not keep.

    Attributes:
        name: of the image.
        several: further pictures.
        parts: words for its metadata.
    """

    name: str
    several: bool
    parts: tuple[str, ...]


def log_dropped_parts(images: Sequence[Dropped]) -> None:
    """Log the parts of images that their compressed files do not keep."""
    for image in images:
        if image.several:
            log_note(
                "{name} holds several pictures; this is the first",
                id="reading.several-pictures",
                name=image.name,
            )
    log_lost(Counter(part for image in images for part in image.parts))


def log_lost(lost: Counter[str]) -> None:
    """Log of how many images which parts are not written."""
    for part, count in sorted(lost.items()):
        log_note(
            "the written file of {images} does not keep: {part}",
            id="restore.lost",
            images=format_count(count, "image"),
            part=part,
        )


def count_pixels(job: FileJob, max_pixels: int) -> int:
    """Pixels of a job's image, by its header.

    Raises:
        DataError: unreadable, or more than `max_pixels`.
    """
    from isthmus.images.formats import probe

    if job.image is not None:
        return int(job.image.shape[0] * job.image.shape[1])
    header = probe(job.source, max_pixels=max_pixels)
    return header.height * header.width


def list_compressed(folder: Path) -> InputFiles:
    """Every compressed file under a folder, hidden ones excepted, by path. Pipes and devices with such a name
    are among them, so that they are named as skipped.

    Raises:
        DataError: there is none, or the folder cannot be listed.
    """
    from isthmus.codec.container import SUFFIX
    from isthmus.images.listing import walk_folder

    skipped: list[SkippedInput] = []
    notes: list[Message] = []
    paths = sorted(
        Path(place, name)
        for place, _, names in walk_folder(folder, skipped, notes)
        for name in names
        if name.endswith(SUFFIX) and not name.startswith(".")
    )
    if not paths:
        unlisted = f"; {skipped[0].name} {skipped[0].reason}" if skipped else ""
        raise DataError(
            "{folder}: no {suffix} files in it{unlisted}",
            id="compressed-file.folder-without-files",
            expected=f"FOLDER-OF-{SUFFIX[1:].upper()}-FILES",
            folder=folder,
            suffix=SUFFIX,
            unlisted=unlisted,
        )
    for note in notes:
        log_note(note)
    return InputFiles(tuple((path, path.relative_to(folder).as_posix()) for path in paths), tuple(skipped))
