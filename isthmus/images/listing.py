"""Lists the image files under a folder, their names, and the labels that follow from sub-folders.

Image files of kinds that are not read are counted, and listed with a way to convert them.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from isthmus.errors import DataError, Hint
from isthmus.images.opening import KINDS, SUFFIXES, Member
from isthmus.images.store import Indices, Skipped
from isthmus.images.unread_kinds import UnreadFiles, list_some
from isthmus.messages import Message
from isthmus.wording import format_count


def note_archives(archives: Iterable[str]) -> Message:
    """The note about archives among image files."""
    names = sorted(archives)
    return Message(
        "not read: {archives} among the image files ({names}); give them by their own path",
        id="reading.archive-among-images",
        archives=format_count(len(names), "archive"),
        names=list_some(names),
    )


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file with an image's suffix: where it is, its printable path under the folder, its label or None, and
    the group that a list names.

    The label is its first folder. For a file in a tar shard `place` is the archive, `member` its place in it,
    and the label the folder next to it there.
    """

    place: str
    name: str
    label: str | None
    member: Member | None = None
    group: str = ""

    @property
    def path(self) -> Path:
        """Where it is, or the archive that it lies in."""
        return Path(self.place)

    @property
    def source(self) -> str | Member:
        """What `formats.decode` reads."""
        return self.member or self.place


class TooManyError(DataError):
    """A folder or an archive holds more images than expected; its listing was stopped."""


@dataclass(frozen=True)
class Listing:
    """The image files under a folder, the sub-folders that could not be listed, and what else lies there."""

    files: list[ImageFile]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def list_images(folder: str | Path, *, most: int | None = None) -> Listing:
    """Every file with an image's suffix under `folder`, hidden ones excepted, ordered by its path's parts.

    Args:
        most: give up at more images than that, or at ten times as many entries and ten thousand more.

    Raises:
        DataError: no such folder, it cannot be listed, or there is no image in it.
        TooManyError: there are more than `most`.
    """
    top = Path(folder)
    files: list[ImageFile] = []
    skipped: list[Skipped] = []
    unread, archives = UnreadFiles(), list[str]()
    other: Hint | None = None
    # Paths stay strings: a `Path` for each of a million files takes longer than to list them.
    entries = 0
    about_links: list[Message] = []
    for place, parts, names in walk_folder(top, skipped, about_links):
        entries += 1 + len(names)
        if most is not None and (len(files) > most or entries > 10 * most + 10_000):
            raise TooManyError(
                "{folder}: more than {most:,} images", id="data.too-many-images", folder=folder, most=most
            )
        below = tuple(_printable(part) for part in parts)
        inside = place if place.endswith(os.sep) else place + os.sep
        start, label = "".join(f"{part}/" for part in below), below[0] if below else None
        for name in names:
            if name[max(name.rfind("."), 0) :].lower() in SUFFIXES and not name.startswith("."):
                files.append(ImageFile(inside + name, start + _printable(name), label))
                continue
            unread.add(name, start + _printable(name))
            if name.lower().endswith(".tar") and not name.startswith("."):
                archives.append(start + _printable(name))
            elif "images-idx3-ubyte" in name.replace(".", "-"):
                other = Hint(f"the images of {name} are read with its own path: {Path(place, name)}")
            elif name.endswith(".isth"):
                other = Hint.call("decompress_files", os.fspath(folder), out="FOLDER")
    notes = unread.notes()
    if not files:
        unlisted = f"; {skipped[0].name} {skipped[0].reason}" if skipped else ""
        raise DataError(
            "{folder}: no images in it (kinds read: {kinds}){unlisted}",
            id="data.folder-without-images",
            hint=other
            or Hint(
                notes[0] if notes else "give a folder of images, or a set by its name, such as fashion-sample"
            ),
            expected="FOLDER-OF-IMAGES",
            folder=folder,
            kinds=KINDS,
            unlisted=unlisted,
        )
    if archives:
        notes = (*notes, note_archives(archives))
    ordered = sorted(files, key=lambda file: (file.name.split("/"), file.place))
    return Listing(ordered, tuple(skipped), (*about_links, *notes, *_note_loose(ordered)))


def _note_loose(files: list[ImageFile]) -> tuple[str, ...]:
    """The note about images next to class folders: no labels are read then."""
    loose = [file.name for file in files if file.label is None]
    classes = {file.label for file in files if file.label is not None}
    if not loose or len(classes) < 2:
        return ()
    note = Message(
        "{images} beside the {classes} ({names}): labels are not read, because not every image has one",
        id="reading.loose-images",
        images=format_count(len(loose), "image lies", "images lie"),
        classes=format_count(len(classes), "class folder"),
        names=list_some(loose),
    )
    return (note,)


def walk_folder(
    top: Path, skipped: list[Skipped], notes: list[Message] | None = None
) -> Iterator[tuple[str, tuple[str, ...], list[str]]]:
    """Folder by folder under `top`: its path, its path's parts below `top`, and the names of its files.

    Hidden folders are not entered. Links to folders are followed after all other folders. No folder is
    entered twice, so links cannot form a loop.

    Args:
        skipped: gets every sub-folder that cannot be listed.
        notes: gets, at the end, sentences about the links.

    Raises:
        DataError: no such folder, or it cannot be listed.
    """
    pending: list[tuple[str, tuple[str, ...]]] = [(os.fspath(top), ())]
    linked: list[tuple[str, tuple[str, ...]]] = []
    visited: set[tuple[int, int]] = set()
    entered: list[str] = []
    left_out: list[str] = []
    while pending or linked:
        is_link = not pending
        place, parts = linked.pop(0) if is_link else pending.pop()
        shown = "".join(f"{_printable(part)}/" for part in parts)
        names: list[str] = []
        folders: list[str] = []
        links: list[str] = []
        try:
            facts = os.stat(place)  # noqa: PTH116 - a string
            if (facts.st_dev, facts.st_ino) in visited:
                if is_link:
                    left_out.append(shown)
                continue
            with os.scandir(place) as entries:
                for entry in entries:
                    if not _is_folder(entry):
                        names.append(entry.name)
                    else:
                        (links if entry.is_symlink() else folders).append(entry.name)
        except OSError as error:
            if not parts:
                raise _unlistable(top, error) from None
            skipped.append(
                Skipped(
                    shown,
                    Message(
                        "this folder cannot be listed ({reason})",
                        id="data.part-unlistable",
                        reason=error.strerror,
                    ),
                )
            )
            continue
        visited.add((facts.st_dev, facts.st_ino))
        if is_link:
            entered.append(shown)
        yield place, parts, names
        for queue, folder_names in ((pending, sorted(folders, reverse=True)), (linked, sorted(links))):
            queue += [
                (os.path.join(place, name), (*parts, name))  # noqa: PTH118 - a string
                for name in folder_names
                if not name.startswith(".")
            ]
    if notes is not None:
        notes += _note_links(entered, left_out)


def _note_links(entered: list[str], left_out: list[str]) -> list[Message]:
    notes = []
    if entered:
        note = Message(
            "{links} followed ({names})",
            id="reading.linked-folders",
            links=format_count(len(entered), "link to a folder is", "links to folders are"),
            names=list_some(entered),
        )
        notes.append(note)
    if left_out:
        note = Message(
            "{links} not followed, for the folder is read already ({names})",
            id="reading.linked-folders-again",
            links=format_count(len(left_out), "link to a folder is", "links to folders are"),
            names=list_some(left_out),
        )
        notes.append(note)
    return notes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _unlistable(top: Path, error: OSError) -> DataError:
    if error.errno == errno.ENOENT:
        return DataError("{folder}: no such folder", id="data.folder-missing", folder=top)
    if error.errno == errno.ENOTDIR:
        return DataError("{folder}: is not a folder", id="data.not-a-folder", folder=top)
    return DataError(
        "{folder}: this folder cannot be listed ({reason})",
        id="data.folder-unlistable",
        folder=top,
        reason=error.strerror,
    )


def labels_of(files: list[ImageFile], readable: list[ImageFile]) -> tuple[Indices | None, tuple[str, ...]]:
    """(labels of `readable`, class names); (None, ()) unless every one of `files` lies in a sub-folder.

    Classes are counted over all files, so that a broken one does not renumber the others.
    """
    labels = {file.label for file in files if file.label is not None}
    if any(file.label is None for file in files):
        return None, ()
    numbers = any(file.member is not None for file in files) and all(
        name.isdecimal() and len(name) < 19 for name in labels
    )
    classes = tuple(sorted(labels, key=int) if numbers else sorted(labels))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[file.label or ""] for file in readable], dtype=np.int64), classes


def _printable(name: str) -> str:
    # File names on Linux are bytes; those that are not UTF-8 cannot be printed as they are.
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
