"""Bytes that the browser sent or will fetch, on the disk and bounded: the least recently used go first."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import OutputError, UsageError

MAX_STORE_BYTES = 512 * 2**20
MAX_STORE_FILES = 2_000


@dataclass(frozen=True)
class StoredFile:
    """One file: its bytes, their media type and a name to save it as."""

    content: bytes
    media_type: str
    name: str


@dataclass(frozen=True)
class _Entry:
    path: Path
    bytes: int
    media_type: str
    name: str


class FileStore:
    """Files by an id that is made from their bytes.

    Args:
        folder: returns the folder to store them in; called when the first is added.
        max_bytes: of all files together.
        max_files: the largest number of files.
    """

    def __init__(
        self,
        folder: Callable[[], Path],
        max_bytes: int = MAX_STORE_BYTES,
        max_files: int = MAX_STORE_FILES,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, content: bytes, media_type: str, name: str) -> str:
        """Keep a file and give its id.

        Raises:
            OutputError: the disk has no room.
        """
        digest = hashlib.sha256(f"{media_type}\0{name}\0".encode("utf-8", "replace") + content)
        key = digest.hexdigest()[:32]
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return key
            path = self._folder() / f"file-{key}"
            try:
                path.write_bytes(content)
            except OSError as error:
                path.unlink(missing_ok=True)
                raise OutputError(
                    "the server cannot store this file: {reason}",
                    id="page.disk",
                    reason=error.strerror or str(error),
                ) from None
            self._entries[key] = _Entry(path, len(content), media_type, name)
            self._bytes += len(content)
            while self._is_full() and len(self._entries) > 1:
                _, old = self._entries.popitem(last=False)
                self._bytes -= old.bytes
                old.path.unlink(missing_ok=True)
        return key

    def _is_full(self) -> bool:
        return self._bytes > self._max_bytes or len(self._entries) > self._max_files

    def get(self, key: str) -> StoredFile:
        """Raises:
        UsageError: no such file, or it had to make room for others.
        """
        try:
            with self._lock:
                file = self._entries[key]
                self._entries.move_to_end(key)
            return StoredFile(file.path.read_bytes(), file.media_type, file.name)
        except (KeyError, OSError):
            raise UsageError(
                "the server has deleted this file",
                id="page.file-gone",
                hint="choose the image again",
            ) from None

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return self._bytes
