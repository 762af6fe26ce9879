"""Whether compressed files are whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from isthmus.api.compressed_inputs import list_compressed
from isthmus.api.facts import CompressedFacts
from isthmus.api.inputs import ModelLike, PathLike, check_count
from isthmus.api.result import Result, keys, use
from isthmus.errors import DataError
from isthmus.file_jobs import InputFiles, describe_failure, expand_inputs
from isthmus.interruption import Interruption
from isthmus.log import SkippedInput, log_skipped
from isthmus.progress import Progress, start_task
from isthmus.wording import choose_word, format_count

if TYPE_CHECKING:
    from isthmus.codec.ready import Codec


@dataclass(frozen=True, kw_only=True)
class VerifiedFile(CompressedFacts):
    """One compressed file that is whole."""


@dataclass(frozen=True, kw_only=True, repr=False)
class VerifiedFiles(Result):
    """Which compressed files are whole.

    Attributes:
        how: `checksums`, or `decoded` where a model was given.
        files: those that are whole.
        found: number of files that were examined.
    """

    schema: ClassVar[str] = "isthmus.verify/1"
    document: ClassVar = keys("how files")

    how: Literal["checksums", "decoded"]
    files: tuple[VerifiedFile, ...]
    found: int

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "bytes", "bits per pixel", "height", "width", "quality"]
        return header, [[f.file, f.bytes, f.bpp, *f.size, f.quality] for f in self.files]

    def summary(self) -> str:
        words = "every checksum is right" if self.how == "checksums" else "everything decodes"
        count = format_count(self.found, "file")
        intact_count = len(self.files)
        if intact_count + len(self.skipped) > self.found:  # a folder could not be listed
            return f"{intact_count:,} of the {count} found are whole: {words}"
        return f"{intact_count:,} of {count} {choose_word(self.found, 'is', 'are')} whole: {words}"


@use
def verify_files(
    inputs: PathLike | Sequence[PathLike],
    *,
    model: ModelLike | None = None,
    limit: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> VerifiedFiles:
    """Check that .isth files, or those in folders, are whole.

    Every checksum is compared with its bytes, which needs no model; with a model everything is decoded as
    well.

    Args:
        inputs: .isth files and folders of them.
        model: decode with this model as well; without, checksums only.
        limit: at most this many of the files, evenly spaced.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        DataError: no such files, or the only one is damaged; of several such are skipped.

    Examples:
        >>> import isthmus, numpy as np
        >>> from pathlib import Path
        >>> data = isthmus.compress(np.full((64, 48), 90, dtype=np.uint8))
        >>> _ = Path("gray.isth").write_bytes(data)
        >>> isthmus.verify_files("gray.isth").summary()
        '1 of 1 file is whole: every checksum is right'
    """
    from isthmus.codec.facts import inspect_compressed_file

    check_count("limit", limit)
    files = expand_inputs(inputs, _list_by_path).evenly(limit)
    codec = _open_codec(model)
    verified: list[VerifiedFile] = []
    skipped = list(files.skipped)
    done, stop = 0, Interruption()
    with stop, start_task(progress, "verifying", len(files.files), "files") as task:
        for done, (path, _) in enumerate(files.files, start=1):
            try:
                facts = inspect_compressed_file(path, max_pixels=max_pixels)
                if codec is not None:
                    _decode(path, codec, max_pixels)
                verified.append(VerifiedFile(file=os.fspath(path), **facts))
            except DataError as error:
                if len(files.files) == 1 and not files.skipped:
                    raise
                skipped.append(SkippedInput(os.fspath(path), describe_failure(error, path)))
            task.update(done, path.name)
    log_skipped(skipped)
    stop.check(done, len(files.files), "file")
    return VerifiedFiles(
        how="checksums" if codec is None else "decoded",
        files=tuple(verified),
        found=len(files.files),
        skipped=tuple(skipped),
        complete=stop.complete,
    )


def _open_codec(model: ModelLike | None) -> Codec | None:
    if model is None:
        return None
    from isthmus.codec.models import codec_for

    return codec_for(model)


def _decode(path: Path, codec: Codec, max_pixels: int) -> None:
    """Decode every tile of a file and forget the pixels.

    Raises:
        CompressedFileError: it cannot be decoded; the message names it.
    """
    from isthmus.codec import container
    from isthmus.codec.decoding import iter_pieces
    from isthmus.codec.facts import read_compressed, with_name

    def work() -> None:
        content = container.read_container(read_compressed(path), max_pixels=max_pixels)
        for _ in iter_pieces(content, codec):
            pass

    with_name(path, work)


def _list_by_path(folder: Path) -> InputFiles:
    """As `list_compressed`, with names that lead from the current folder."""
    listed = list_compressed(folder)
    skipped = tuple(
        SkippedInput(f"{folder / skipped_input.name}/", skipped_input.reason)
        for skipped_input in listed.skipped
    )
    return InputFiles(tuple((path, os.fspath(path)) for path, _ in listed.files), skipped)
