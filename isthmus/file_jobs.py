"""The one runner over many files: existing outputs are kept, failures are collected and named at the end.

jobs = plan_outputs(files, "clean/", suffix=".png", suffixes=WRITABLE)
outcomes = run_jobs(jobs, lambda job, report: clean(job.source, job.target), force=False, task=task)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from isthmus.errors import CapabilityError, DataError, ExistsError, Hint, IsthmusError, OutputError
from isthmus.interruption import Interruption
from isthmus.log import SkippedInput
from isthmus.names import safe_outputs
from isthmus.outputs import (
    affects_every_output,
    check_folder,
    check_output,
    is_folder,
    native_path,
    path_exists,
    shorten_name,
)
from isthmus.progress import Task
from isthmus.threads import count, map_ordered

Value = TypeVar("Value")
Report = Callable[[float], None]
"""Called with the share of a file that is done, in [0, 1]."""

# Of files that people name as an output: a folder of such a name is never what was meant.
FILE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "jpg", "jpeg", "jxl", "webp", "avif", "heic", "heif", "tif", "tiff", "bmp", "gif"),
        *("jpe", "jfif", "dib", "pbm", "pfm", "j2k", "jpx", "jpf", "jpc", "btf", "tf8"),
        *("pgm", "ppm", "pnm", "jp2", "dng", "exr", "psd", "svg", "tga", "ico", "isth"),
        *("npy", "npz", "mp4", "mov", "avi", "mkv", "webm", "pdf", "zip", "csv", "json", "html", "txt"),
    )
)

_memory_changed = threading.Condition()
_reserved_bytes = 0


@dataclass(frozen=True)
class InputFiles:
    """Files with the names to call them by, and what of the inputs could not be listed.

    Attributes:
        files: path and name of each.
        skipped: what could not be listed.
        images: pixels `(H, W, C)` of those that have no file of their own, such as `t.npy[5]` and arrays, by
            place in `files`.
        notes: what was chosen in reading these.
    """

    files: tuple[tuple[Path, str], ...]
    skipped: tuple[SkippedInput, ...] = ()
    images: Mapping[int, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def evenly(self, limit: int | None) -> InputFiles:
        """At most `limit` of the files, evenly spaced."""
        count = len(self.files)
        if limit is None or limit >= count:
            return self
        return self.chosen([round(index * (count - 1) / max(limit - 1, 1)) for index in range(limit)])

    def chosen(self, chosen: Sequence[int]) -> InputFiles:
        """The files at these places."""
        images = {place: self.images[row] for place, row in enumerate(chosen) if row in self.images}
        return InputFiles(tuple(self.files[row] for row in chosen), self.skipped, images, self.notes)


@dataclass(frozen=True)
class FileJob:
    """One input, the name to call it by, and where its output goes.

    Attributes:
        index: its place among all jobs.
        source: the file that is read.
        name: what a user calls it.
        target: the file that is written.
        image: pixels `(H, W, C)` of the input, where it is one image of a set and no file of its own.
        companion: a second file beside the target, where the use writes one.
    """

    index: int
    source: Path
    name: str
    target: Path
    image: Any = None
    companion: Path | None = None


@dataclass(frozen=True)
class FileOutcome(Generic[Value]):
    """What became of a job: its result, why it was skipped, or that its output existed (`kept`)."""

    job: FileJob
    value: Value | None = None
    skipped: SkippedInput | None = None
    kept: bool = False


def expand_inputs(
    inputs: Any,
    list_folder: Callable[[Path], InputFiles],
    list_set: Callable[[str], InputFiles | None] = lambda _name: None,
    list_object: Callable[[Any, str], InputFiles] | None = None,
) -> InputFiles:
    """The files that are given, and those that `list_folder` finds in the folders that are given.

    Args:
        inputs: one of them, or a list.
        list_set: the images of a set that a name stands for; None where it stands for none.
        list_object: the images in something that is no path, with its place in the list, empty where it is
            alone; without it, such a thing is refused.

    Raises:
        DataError: nothing is given, or something else than a path; and what the functions raise.
    """
    if isinstance(inputs, (list, tuple, Iterator)):
        entries = [(entry, str(place)) for place, entry in enumerate(inputs)]
    else:
        entries = [(inputs, "")]
    if not entries:
        raise DataError("no files are given", id="data.no-files")
    files: list[tuple[Path, str]] = []
    skipped: list[SkippedInput] = []
    images: dict[int, Any] = {}
    notes: list[str] = []
    for entry, place_in_list in entries:
        if not isinstance(entry, (str, os.PathLike)):
            if list_object is None:
                raise DataError(
                    "a path is expected here, not a {type}", id="data.no-path", type=type(entry).__name__
                )
            part = list_object(entry, place_in_list)
        elif not os.fspath(entry):  # Path("") is the current folder
            raise DataError("an input has no name: give a path or a data-set name", id="data.empty-input")
        elif is_folder(path := Path(entry)):
            part = list_folder(path)
        else:
            part = list_set(os.fspath(path)) or InputFiles(((path, path.name),))
        images |= {len(files) + place: image for place, image in part.images.items()}
        files += part.files
        skipped += part.skipped
        notes += part.notes
    return InputFiles(tuple(files), tuple(skipped), images, tuple(dict.fromkeys(notes)))


def plan_outputs(
    files: Sequence[tuple[Path, str]],
    out: str | os.PathLike[str],
    *,
    suffix: str | Sequence[str],
    suffixes: Collection[str],
    force: bool,
) -> list[FileJob]:
    """A job for each file: to `out` itself, for one file and a name with a known suffix, else to files of
    their names in the folder `out`.

    Args:
        suffix: of the files in a folder, of all or of each.
        suffixes: those that the name of one output may have.
        force: an existing output may be replaced.

    Raises:
        UsageError: `out` is empty or `-`.
        ExistsError: the one output exists and `force` is off.
        OutputError: the name of one file for several, one with an unknown suffix, or nothing can be written
            there.
    """
    if out in ("", "-"):
        check_output(out, force=force)  # raises
    target = native_path(out)
    means_folder = is_folder(out) or os.fspath(out).endswith(("/", os.sep))
    if target.suffix.lower() in suffixes and not means_folder:
        if len(files) != 1:
            raise OutputError(
                "{out} names one file, but there are {inputs} inputs",
                id="output.one-file-for-many",
                hint=Hint(f"name a folder, such as {target.with_suffix('')}/"),
                out=out,
                inputs=len(files),
            )
        check_output(out, force=force)
        return [FileJob(0, *files[0], target)]
    is_name_of_file = len(files) == 1 or target.suffix.lower() in FILE_SUFFIXES
    if target.is_file() or (target.suffix and is_name_of_file and not means_folder):
        names = ", ".join(sorted(suffixes))
        raise OutputError(
            "cannot write {out}: a file's name must end with {one_of}{suffixes}",
            id="output.file-suffix",
            hint=Hint(f"for a folder write {out}/"),
            out=out,
            one_of="one of " * (len(suffixes) > 1),
            suffixes=names,
        )
    check_folder(out)
    places = safe_outputs(target, [name for _, name in files], suffix=suffix)
    return [FileJob(i, *file, place) for i, (file, place) in enumerate(zip(files, places, strict=True))]


def plan_companions(jobs: Sequence[FileJob], ending: str, *, force: bool) -> list[FileJob]:
    """The jobs with a second file each: the target's name with another ending, such as `-compare.png`.

    None is the target or the companion of another job, nor, without `force`, a file that exists: a number is
    put before the suffix then.
    """
    targets = {_fold(job.target) for job in jobs}
    planned = []
    stem_ending, suffix = os.path.splitext(ending)  # noqa: PTH122 - no path
    for job in jobs:
        number = 1
        while True:
            numbered = stem_ending + ("" if number == 1 else f"-{number}") + suffix
            place = job.target.with_name(shorten_name(job.target.stem, numbered))
            if _fold(place) not in targets and (force or not path_exists(place)):
                break
            number += 1
        targets.add(_fold(place))
        planned.append(replace(job, companion=place))
    return planned


def _fold(path: Path) -> str:
    return os.fspath(path).casefold()


def run_jobs(
    jobs: Sequence[FileJob],
    work: Callable[[FileJob, Report], Value],
    *,
    force: bool,
    task: Task,
    stop: Interruption,
    workers: int | None = None,
) -> list[FileOutcome[Value]]:
    """Do the jobs, several at a time, and give what became of each, in their order.

    The errors of a single job are raised. Of several jobs one is skipped whose input is broken or whose
    output cannot be written; an output that exists is kept, also one that another process has written
    meanwhile. Ctrl-C leaves every output whole that was begun, and gives the outcomes until then.

    Args:
        work: writes the output; its value is part of the outcome.
        force: write outputs again that exist.
        task: shows how many jobs are done.
        workers: files in work at the same time; by default one for each core.

        stop: gets the interruption; its `check` is done here.

    Raises:
        ExistsError: the one output exists and `force` is off.
        OutputError: the one output cannot be written, or the disk is full.
        KeyboardInterrupt: interrupted before any output was written or found.
    """
    tally: _Tally[Value] = _Tally(task)

    def attempt(job: FileJob) -> FileOutcome[Value]:
        report = tally.report(job)
        if len(jobs) == 1:
            check_output(job.target, force=force)
            outcome = FileOutcome(job, work(job, report))
        elif not force and path_exists(job.target):
            outcome = FileOutcome(job, kept=True)
        else:
            try:
                outcome = FileOutcome(job, work(job, report))
            except ExistsError:
                outcome = FileOutcome(job, kept=True)
            except (DataError, CapabilityError, OutputError) as error:
                if isinstance(error, OutputError) and affects_every_output(error):
                    raise
                reason = describe_failure(error, job.source)
                outcome = FileOutcome(job, skipped=SkippedInput(job.name, reason))
        tally.finish(outcome)
        return outcome

    with stop, closing(map_ordered(attempt, jobs, workers=workers, ahead=workers or count())) as outcomes:
        return list(outcomes)
    stop.check(tally.done, len(jobs), "file", then="the same call does the rest")
    return tally.outcomes()


def describe_failure(error: IsthmusError, source: Path) -> str:
    """Why `source` could not be used, without its name."""
    reason: str | None = getattr(error, "reason", None)
    return reason or error.message.without_prefix(f"{source}: ")


@contextmanager
def reserve_memory(size_bytes: int, limit_bytes: int) -> Iterator[None]:
    """Within the block all files in work together take at most `limit_bytes`, or this one is alone.

    Args:
        size_bytes: what this file takes, estimated.
        limit_bytes: what all of them may take.
    """
    global _reserved_bytes
    with _memory_changed:
        _memory_changed.wait_for(lambda: not _reserved_bytes or _reserved_bytes + size_bytes <= limit_bytes)
        _reserved_bytes += size_bytes
    try:
        yield
    finally:
        with _memory_changed:
            _reserved_bytes -= size_bytes
            _memory_changed.notify_all()


class _Tally(Generic[Value]):
    """Holds finished jobs and the shares of those in work; its methods may be called in any thread."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._lock = threading.Lock()
        self._shares: dict[int, float] = {}
        self._finished: dict[int, FileOutcome[Value]] = {}
        self.done = 0  # written, or there already

    def outcomes(self) -> list[FileOutcome[Value]]:
        """Of the finished jobs, in their order."""
        return [self._finished[index] for index in sorted(self._finished)]

    def report(self, job: FileJob) -> Report:
        def update(share: float) -> None:
            with self._lock:
                self._shares[job.index] = share
                self._update(job)

        return update

    def finish(self, outcome: FileOutcome[Value]) -> None:
        with self._lock:
            self._shares.pop(outcome.job.index, None)
            self._finished[outcome.job.index] = outcome
            self.done += outcome.skipped is None
            self._update(outcome.job)

    def _update(self, job: FileJob) -> None:
        self._task.update(len(self._finished) + sum(self._shares.values()), job.name)
