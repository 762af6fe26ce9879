"""Shared by all uses that turn files into files: their result, and the jobs that make it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from isthmus.api.inputs import PathLike, check_count
from isthmus.api.result import Result, skipped_inputs, to_json_value
from isthmus.file_jobs import FileJob, InputFiles, Report, plan_companions, plan_outputs, run_jobs
from isthmus.interruption import Interruption
from isthmus.log import SkippedInput, log_skipped
from isthmus.progress import Progress, start_task
from isthmus.wording import choose_word, format_count

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One image that was written.

    Attributes:
        name: of the input, below the folder that was given.
        output: the file that was written.
        height, width: in pixels.
        seconds: how long it took.
        pages: pages or frames that were written.
        lost: what the input holds and the output does not, such as its EXIF; empty where that is nothing.
    """

    name: str
    output: str
    height: int
    width: int
    seconds: float
    pages: int = 1
    lost: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class FilesResult(Result):
    """Files that were made from files. Subclasses state which.

    Attributes:
        out: the file or folder that was written to.
        files: those that were written.
        already_there: number of outputs that existed and were kept.
    """

    formats: ClassVar = (".csv", ".json")

    out: str
    files: tuple[Any, ...]
    already_there: int

    def csv_rows(self) -> tuple[list[str], list[list[object]]]:
        """A row for each file, with its fields."""
        names = [field.name for field in fields(self.files[0])] if self.files else []
        return names, [[to_json_value(getattr(file, name)) for name in names] for file in self.files]

    def summary(self) -> str:
        return f"{format_count(len(self.files), 'image')} written to {self.out}{self.kept_text()}"

    def kept_text(self) -> str:
        """The end of a sentence with the number of outputs that were kept; may be empty."""
        if (existing := self.already_there) == 0:
            return ""
        return f"; {existing:,} {choose_word(existing, 'was', 'were')} there already and kept"


@dataclass(frozen=True)
class ProcessedFiles(Generic[Value]):
    """What `process_files` gives: the values of the files that were written, what became of the rest, and
    whether it came to its end.
    """

    values: tuple[Value, ...]
    already_there: int
    skipped: tuple[SkippedInput, ...]
    complete: bool

    def facts(self, out: PathLike) -> dict[str, Any]:
        """The fields of every `FilesResult` but the files themselves."""
        return {
            "out": os.fspath(out),
            "already_there": self.already_there,
            "skipped": self.skipped,
            "complete": self.complete,
        }


def keep_time(source: Path, target: Path) -> None:
    """Give a file that was made from another one its time of modification, where the system lets it."""
    with contextlib.suppress(OSError):
        if target.is_file():
            times = source.stat()
            os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))


def process_files(
    label: str,
    inputs: InputFiles,
    work: Callable[[FileJob, Report], Value],
    *,
    out: PathLike,
    suffix: str | Sequence[str],
    suffixes: Collection[str],
    force: bool,
    workers: int | None,
    progress: Progress | None,
    companion: str | None = None,
) -> ProcessedFiles[Value]:
    """Make an output of each file; existing ones are kept, and what cannot be read is skipped.

    Args:
        label: what is done, for the progress.
        work: writes the output of a job; reports the share of it that is done.
        out, suffix, suffixes, force: see `plan_outputs`.
        workers: see `run_jobs`.
        companion: ending of the name of a second file of each job, see `plan_companions`.

    Raises:
        UsageError: `workers` is no number of files.
        OutputError, ExistsError: see `plan_outputs` and `run_jobs`.
        DataError: the only input is broken.
    """
    check_count("workers", workers)
    jobs = plan_outputs(inputs.files, out, suffix=suffix, suffixes=suffixes, force=force)
    jobs = [replace(job, image=inputs.images.get(job.index)) for job in jobs]
    if companion is not None:
        jobs = plan_companions(jobs, companion, force=force)
    stop = Interruption()
    with start_task(progress, label, len(jobs), "files") as task:
        outcomes = run_jobs(jobs, work, force=force, task=task, stop=stop, workers=workers)
    skipped = skipped_inputs(
        inputs.skipped, [outcome.skipped for outcome in outcomes if outcome.skipped is not None]
    )
    log_skipped(skipped)
    return ProcessedFiles(
        values=tuple(outcome.value for outcome in outcomes if outcome.value is not None),
        already_there=sum(outcome.kept for outcome in outcomes),
        skipped=skipped,
        complete=stop.complete,
    )
