"""Notes about choices and omissions in reading images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from isthmus.log import log_note, log_skipped
from isthmus.messages import Message, as_message

if TYPE_CHECKING:
    from isthmus.images.formats import Header
    from isthmus.images.store import ImageSet


def report_reading(images: ImageSet) -> None:
    """Log the choices and omissions in reading `images`."""
    for note in images.notes:
        log_note(as_message(note, id="reading.note"))
    log_skipped(images.skipped)


def header_notes(header: Header) -> tuple[Message, ...]:
    """The choices in reading one image of a file; alpha is laid on white."""
    notes = []
    if header.transparent:
        notes.append(
            Message("the image has transparent parts: laid on white", id="reading.image-transparent")
        )
    if header.narrowed:
        notes.append(
            Message(
                "the image has more than 8 bits per sample: files of this kind are read with 8",
                id="reading.image-narrowed",
            )
        )
    if header.paged:
        notes.append(
            Message("the file's pages are read as the channels of one image", id="reading.image-pages")
        )
    if header.several:
        notes.append(
            Message(
                "the file holds several pages or frames: only the first is read",
                id="reading.file-several-pages",
            )
        )
    return tuple(notes)
