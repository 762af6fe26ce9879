"""Fetch one file of a named data set: checksum verified, progress on stderr, nothing half-done left."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from isthmus.errors import DataError, OutputError
from isthmus.images.registry import RemoteFile

_TIMEOUT_SECONDS = 30


def download(name: str, file: RemoteFile, base: str, folder: Path) -> Path:
    """Download `file` of the set `name` into `folder`, from `$ISTHMUS_MIRROR`/name/ or else from `base`.

    Raises:
        DataError: no network, no such file there, or another checksum; `folder` is then as before.
    """
    import pooch

    mirror = os.environ.get("ISTHMUS_MIRROR")
    url = f"{mirror.rstrip('/')}/{name}/{file.name}" if mirror else base + file.name
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(
        progressbar=_Progress(file.name), timeout=_TIMEOUT_SECONDS, chunk_size=1 << 16
    )
    hint = f"put {file.name} into {folder} or into $ISTHMUS_DATA/{name}"
    try:
        known = f"md5:{file.md5}"
        pooch.retrieve(url, known_hash=known, fname=file.name, path=folder, downloader=downloader)
    except ValueError as error:
        reason = "its checksum is wrong" if "hash" in str(error) else " ".join(str(error).split())
        raise DataError(
            "{name}: {url} was not kept: {reason}",
            id="data.download-not-kept",
            hint=hint,
            name=name,
            url=url,
            reason=reason,
        ) from None
    except OSError as error:  # what requests raises derives from OSError
        if error.errno is not None:
            raise OutputError(
                "cannot write into {folder}: {reason}",
                id="output.folder-problem",
                folder=folder,
                reason=error.strerror or error,
            ) from None
        response = getattr(error, "response", None)
        code = getattr(response, "status_code", None)
        reason = f"the server answered {code}" if code else f"no connection ({type(error).__name__})"
        raise DataError(
            "{name}: cannot download {url}: {reason}",
            id="data.download-failed",
            hint=hint,
            name=name,
            url=url,
            reason=reason,
        ) from None
    return folder / file.name


class _Progress:
    """What pooch calls while downloading; writes one line on a terminal, and nothing elsewhere."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0
        self.done = 0

    def update(self, count: int) -> None:
        self.done += count
        if sys.stderr.isatty():
            share = f"{min(1.0, self.done / self.total):4.0%}" if self.total else f"{self.done >> 20} MB"
            sys.stderr.write(f"\rdownloading {self.name} {share}")
            sys.stderr.flush()

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\n")
