"""Bytes that the browser sent or will fetch, in bounded memory: the least recently used go first."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from isthmus.errors import UsageError

MAX_STORE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class StoredFile:
    """One file in memory: its bytes, their media type and a name to save it as."""

    content: bytes
    media_type: str
    name: str


class FileStore:
    """Files by an id that is made from their bytes.

    Args:
        max_bytes: of all files together.
    """

    def __init__(self, max_bytes: int = MAX_STORE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, content: bytes, media_type: str, name: str) -> str:
        """Keep a file and give its id."""
        digest = hashlib.sha256(f"{media_type}\0{name}\0".encode("utf-8", "replace") + content)
        key = digest.hexdigest()[:32]
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
                return key
            self._files[key] = StoredFile(content, media_type, name)
            self._bytes += len(content)
            while self._bytes > self._max_bytes and len(self._files) > 1:
                _, old = self._files.popitem(last=False)
                self._bytes -= len(old.content)
        return key

    def get(self, key: str) -> StoredFile:
        """Raises:
        UsageError: no such file, or it had to make room for others.
        """
        with self._lock:
            if (found := self._files.get(key)) is None:
                raise UsageError(
                    "this file is no longer held by the server",
                    id="page.file-gone",
                    hint="drop the image again",
                )
            self._files.move_to_end(key)
            return found

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return self._bytes
