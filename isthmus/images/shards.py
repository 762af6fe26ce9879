"""Tar shards in the layout of WebDataset: files that share a name up to its first dot are one sample.

    000001.jpg  000001.cls          an image and its class, a number or a word
    b/7.png     b/7.json            an image and {"label": …} (or "cls", "class")

The files of a sample follow one another. Images are read directly from the uncompressed archive, which is
never unpacked (https://github.com/webdataset/webdataset, "The WebDataset Format").

A model records a hash of the names of all images of its training folder or archive (`Inventory`). Later a
listing alone shows whether a folder can be the one it was trained on, before anything in it is decoded.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from isthmus.errors import DataError, one_line
from isthmus.images.listing import ImageFile, Listing, TooManyError, list_images, walk_folder
from isthmus.images.opening import KINDS, SUFFIXES, Member
from isthmus.images.store import ImageSet, Skipped
from isthmus.input_files import open_input, parse_json
from isthmus.messages import Message

_LABEL_KEYS = ("label", "cls", "class")
_MOST_LABEL_BYTES = 2**20
_MOST_LABEL_LENGTH = 1000  # characters; a longer text is no class
MAX_HEADER_BYTES = 2**18  # of a long name or of extended fields
# tarfile searches headers with patterns that take the square of a run of digits (CVE-2024-6232).
_LONG_NUMBER = re.compile(rb"[0-9]{128}")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def find_shards(place: str | Path) -> list[Path]:
    """The archives of `place`: itself, or those that lie in this folder, by name; [] where there are none.

    A folder with an image file in it or below is a folder of images: its archives are not read, and
    `list_images` names them.

    Raises:
        DataError: the archives are compressed, so that no image can be read without those before it.
    """
    path = Path(place)
    if path.is_file():
        return [path] if path.name.lower().endswith((".tar", *_COMPRESSED)) and _readable(path) else []
    if not path.is_dir():
        return []
    try:
        archives = sorted(p for p in path.iterdir() if p.suffix.lower() == ".tar" and p.is_file())
    except OSError as error:
        raise DataError(
            "{folder}: this folder cannot be listed ({reason})",
            id="data.folder-unlistable",
            folder=place,
            reason=error.strerror,
        ) from None
    return [] if archives and _holds_images(path) else archives


def _holds_images(folder: Path) -> bool:
    skipped: list[Skipped] = []
    return any(
        Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        for _, _, names in walk_folder(folder, skipped)
        for name in names
    )


def list_folder(folder: str | Path) -> Listing:
    """Every image under `folder`, in the order of paths, or those of its tar shards.

    Hidden files and other kinds of file are passed over; a sub-folder that may not be listed is skipped.

    Args:
        folder: searched recursively; links are followed, but no folder is read twice. Also a `.tar`.

    Raises:
        DataError: no such folder, it cannot be listed, or there is no image in it.
    """
    shards = find_shards(folder)
    return list_shards(shards) if shards else list_images(folder)


def list_shards(shards: list[Path], *, most: int | None = None) -> Listing:
    """Every sample's image, in the order of the archives; its name is `SHARD/NAME`.

    Links and sparse files with an image's suffix are skipped and named; hidden files are passed over.

    Args:
        most: give up at more images than that.

    Raises:
        DataError: not an archive, damaged, or without a single image.
        TooManyError: there are more than `most`.
    """
    files: list[ImageFile] = []
    skipped: list[Skipped] = []
    for file in (file for shard in shards for file in _samples(shard, skipped)):
        files.append(file)
        if most is not None and len(files) > most:
            raise TooManyError(
                "{source}: more than {most:,} images",
                id="data.archive-too-many-images",
                source=shards[0],
                most=most,
            )
    if not files:
        where = shards[0] if len(shards) == 1 else shards[0].parent
        raise DataError(
            "{where}: no images in the archive (kinds read: {kinds})",
            id="data.archive-without-images",
            where=where,
            kinds=KINDS,
        )
    return Listing(files, tuple(skipped))


def _samples(shard: Path, skipped: list[Skipped]) -> Iterator[ImageFile]:
    key: str | None = None
    image: tuple[str, Member] | None = None
    label: str | None = None
    try:
        with (
            open_input(shard) as raw,
            tarfile.open(fileobj=cast(IO[bytes], _Limited(raw)), mode="r:") as archive,
        ):
            length, last_offset = os.fstat(raw.fileno()).st_size, -1
            while (entry := archive.next()) is not None:
                # A negative size would lead back to earlier files, in an endless loop.
                if entry.size < 0 or archive.offset <= last_offset:
                    raise tarfile.ReadError("a file's size is negative")
                if entry.isreg() and not entry.issparse() and entry.offset_data + entry.size > length:
                    raise tarfile.ReadError("a file is longer than the archive")
                last_offset = archive.offset
                getattr(archive, "members").clear()  # noqa: B009 - tarfile would keep every member in memory
                path = PurePosixPath(_printable(entry.name))
                # Hidden files. A name that begins with two dots is strange, but its image is read.
                if entry.isdir() or (path.name.startswith(".") and not path.name.startswith("..")):
                    continue
                # A sparse file's bytes do not lie together; links have none.
                if not entry.isreg() or entry.issparse():
                    if path.suffix.lower() in SUFFIXES:
                        reason = Message(
                            "a link or a sparse file in an archive is not read", id="data.archive-link"
                        )
                        skipped.append(Skipped(f"{shard.name}/{path}", reason))
                    continue
                stem, _, suffix = path.name.lstrip(".").partition(".")
                own = str(path.parent / stem)
                if own != key:
                    if image is not None:
                        yield ImageFile(str(shard), image[0], label, image[1])
                    key, image, label = own, None, None
                place = Member(shard, entry.offset_data, entry.size)
                if image is None and f".{suffix.rpartition('.')[2]}".lower() in SUFFIXES:
                    image = f"{shard.name}/{path}", place
                elif suffix in ("cls", "json") and entry.size <= _MOST_LABEL_BYTES:
                    label = _label(place.read_from(raw), suffix) or label
            if image is not None:
                yield ImageFile(str(shard), image[0], label, image[1])
    except Exception as error:  # tarfile raises nearly every type of error on false headers
        why = getattr(error, "strerror", None) or one_line(error)
        raise DataError(
            "{shard}: not a readable tar archive ({reason})",
            id="data.tar-unreadable",
            shard=shard,
            reason=why,
        ) from None


class _Limited:
    """An archive as `tarfile` reads it: headers only, so that no header can cause a long read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header of an impossible length")
        content = self._stream.read(size)
        if _LONG_NUMBER.search(content):
            raise tarfile.ReadError("a number of too many digits")
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _label(content: bytes, suffix: str) -> str | None:
    text = content.decode("utf-8", "replace").strip()
    if suffix == "cls":
        return text if 0 < len(text) <= _MOST_LABEL_LENGTH else None
    try:
        facts = parse_json(text)
    except ValueError:
        return None
    if not isinstance(facts, dict):
        return None
    for key in _LABEL_KEYS:
        if isinstance(facts.get(key), (int, str)):
            label = str(facts[key])
            return label if 0 < len(label) <= _MOST_LABEL_LENGTH else None
    return None


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _readable(path: Path) -> bool:
    if path.suffix.lower() != ".tar":
        raise DataError(
            "{path}: images are read directly from an archive, so it must not be compressed",
            id="data.archive-compressed",
            path=path,
        )
    return True


@dataclass(frozen=True)
class Inventory:
    """How many images there are, with those that cannot be read, and a hash of their sorted names."""

    count: int
    names: str

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "names": self.names}


def inventory_of(parts: Iterable[ImageSet]) -> Inventory:
    """The inventory of a folder whose images, all of them, are in these parts."""
    names: set[str] = set()
    for part in parts:
        names.update(part.names)
        names.update(skipped.name for skipped in part.skipped)
    return _inventory(names)


def list_inventory(source: str | Path, *, most: int) -> Inventory | None:
    """The inventory of a folder or archive, listed only as far as `most` images; None for any other file.

    Raises:
        DataError: there are more, none, or it cannot be listed.
    """
    path = Path(source)
    try:
        shards = find_shards(path)
        if not shards and not path.is_dir():
            return None
        files = (list_shards(shards, most=most) if shards else list_images(path, most=most)).files
    except OSError as error:
        raise DataError(
            "{source}: cannot be listed ({reason})",
            id="data.cannot-list",
            source=source,
            reason=error.strerror or error,
        ) from None
    return _inventory({file.name for file in files})


def _inventory(names: set[str]) -> Inventory:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(names):
        digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
    return Inventory(len(names), digest.hexdigest())
