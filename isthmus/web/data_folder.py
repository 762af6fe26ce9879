"""The folder of images that the page may read: nothing above it, nothing outside that a link leads to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from isthmus.api.picture_views import IMAGE_SUFFIXES, list_links
from isthmus.errors import UsageError

MAX_LISTED_FILES = 2_000
MAX_LISTED_FOLDERS = 500


@dataclass(frozen=True)
class FolderListing:
    """What a folder holds: images and sub-folders by their path under DATA, and how many images in all."""

    images: tuple[str, ...]
    folders: tuple[str, ...]
    count: int


class DataFolder:
    """The images under one folder, by their path in it with `/`.

    Args:
        root: the folder; None for a page without a folder.
    """

    def __init__(self, root: str | os.PathLike[str] | None) -> None:
        self.root = None if root is None else Path(root).resolve()
        if self.root is not None and not self.root.is_dir():
            raise UsageError(
                "{path} is not a folder of images",
                id="page.no-folder",
                hint="start it with --data DIR",
                path=os.fspath(root or ""),
            )

    def resolve(self, name: str, *, folder: bool = False) -> Path:
        """The path of a file (or of a folder all of whose files are) under the root.

        Raises:
            UsageError: there is none of this name here.
        """
        if self.root is None:
            raise UsageError(
                "the server was started without a folder of images",
                id="page.no-data",
                hint="start it with --data DIR",
            )
        real = self._locate(name, folder=folder)
        if folder:
            self._check_links(real, name)
        return real

    def _locate(self, name: str, *, folder: bool) -> Path:
        assert self.root is not None
        parts = [part for part in name.split("/") if part not in ("", ".")]
        sound = not any(part.startswith(".") or any(sign in part for sign in "\0\\:") for part in parts)
        real = self.root
        if sound:
            try:
                real = self.root.joinpath(*parts).resolve(strict=True)
                sound = real == self.root or self.root in real.parents
            except (OSError, RuntimeError, ValueError):
                sound = False
        if not sound or not (real.is_dir() if folder else real.is_file()):
            raise UsageError("{name} is not an image of this folder", id="page.not-in-data", name=name)
        return real

    def _check_links(self, folder: Path, name: str) -> None:
        """Raises:
        UsageError: a link in the folder leads out of the root.
        """
        assert self.root is not None
        for path in list_links(folder):
            if not path.resolve().is_relative_to(self.root):
                raise UsageError(
                    "{name}: the link {link} leads out of the folder of images",
                    id="page.link-out",
                    name=name,
                    link=path.relative_to(self.root).as_posix(),
                )

    def list(self, name: str = "") -> FolderListing:
        """Images and folders below a folder, the first of them by name; hidden ones are left out.

        Raises:
            UsageError: no such folder.
        """
        if self.root is None:
            return FolderListing((), (), 0)
        folder = self._locate(name, folder=True)
        images: list[str] = []
        folders: list[str] = []
        count = 0
        for place, inner, files in os.walk(folder):
            inner[:] = sorted(entry for entry in inner if not entry.startswith("."))
            relative = Path(place).relative_to(self.root).as_posix()
            prefix = "" if relative == "." else f"{relative}/"
            if len(folders) < MAX_LISTED_FOLDERS:
                folders += [prefix + entry for entry in inner if not Path(place, entry).is_symlink()]
            for entry in sorted(files):
                if entry.startswith(".") or Path(entry).suffix.lower() not in IMAGE_SUFFIXES:
                    continue
                if Path(place, entry).is_symlink() and self.root not in Path(place, entry).resolve().parents:
                    continue
                count += 1
                if len(images) < MAX_LISTED_FILES:
                    images.append(prefix + entry)
        return FolderListing(tuple(images), tuple(folders[:MAX_LISTED_FOLDERS]), count)
