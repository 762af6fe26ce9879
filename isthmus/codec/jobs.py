"""Many files side by side: what is there already is left, what is broken is named at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from isthmus.codec.container import SUFFIX
from isthmus.errors import CapabilityError, DataError, OutputError
from isthmus.images.listing import find_images
from isthmus.images.store import Skipped
from isthmus.images.write import output_names
from isthmus.threads import count, map_ordered

Found = TypeVar("Found")


@dataclass(frozen=True)
class Job:
    """One input, the name to call it by, and where its output goes."""

    source: Path
    name: str
    target: Path


@dataclass(frozen=True)
class Done(Generic[Found]):
    """What became of a job: its result, why it was left out, or that its output was there (`kept`)."""

    job: Job
    found: Found | None = None
    skipped: Skipped | None = None
    kept: bool = False


def image_jobs(inputs: Sequence[str], out: str, *, suffix: str = SUFFIX) -> list[Job]:
    """A job for every image named, and for every image in every folder named.

    Raises:
        DataError: a folder without images.
        OutputError: several inputs, and `out` is the name of one file.
    """

    def inside(folder: Path) -> list[tuple[Path, str]]:
        return [(file.path, file.name) for file in find_images(folder)]

    jobs = _jobs(_expanded(inputs, inside), out, suffix)
    if jobs[0].target.suffix.lower() != suffix:
        raise OutputError(f"{jobs[0].target} is no name for a compressed image: let it end with {suffix}")
    return jobs


def file_jobs(inputs: Sequence[str], out: str, *, suffix: str) -> list[Job]:
    """The same for compressed files.

    Raises:
        DataError: a folder without compressed files.
        OutputError: several inputs, and `out` is the name of one file.
    """
    return _jobs(_expanded(inputs, compressed_in), out, suffix)


def compressed_in(folder: Path) -> list[tuple[Path, str]]:
    """Path and name of every compressed file under a folder.

    Raises:
        DataError: there is none.
    """
    found = sorted(p for p in folder.rglob(f"*{SUFFIX}") if p.is_file() and not p.name.startswith("."))
    if not found:
        raise DataError(f"{folder}: no {SUFFIX} files in it")
    return [(path, path.relative_to(folder).as_posix()) for path in found]


def run(
    jobs: Sequence[Job], one: Callable[[Job], Found], *, force: bool, workers: int | None = None
) -> Iterator[Done[Found]]:
    """Do the jobs, in their order, with a few threads (by default one per core).

    A single job's errors are raised; of several jobs one whose input is broken is left out.

    Raises:
        OutputError: nothing can be written there, or the one output exists and `force` is off.
    """
    if len(jobs) == 1:
        if jobs[0].target.exists() and not force:
            raise OutputError(
                f"{jobs[0].target} exists; nothing was overwritten", hint="repeat the command with --force"
            )
        yield Done(jobs[0], one(jobs[0]))
        return

    def attempt(job: Job) -> Done[Found]:
        if job.target.exists() and not force:
            return Done(job, kept=True)
        try:
            return Done(job, one(job))
        except (DataError, CapabilityError) as error:
            reason = getattr(error, "reason", None) or error.message.removeprefix(f"{job.source}: ")
            return Done(job, skipped=Skipped(job.name, reason))

    yield from map_ordered(attempt, jobs, workers=workers, ahead=workers or count())


def _jobs(sources: Sequence[tuple[Path, str]], out: str, suffix: str) -> list[Job]:
    target = Path(out)
    into_folder = len(sources) > 1 or target.is_dir() or out.endswith(("/", os.sep)) or not target.suffix
    if not into_folder:
        return [Job(*sources[0], target)]
    if target.is_file() or target.suffix.lower() == suffix:
        raise OutputError(
            f"{out} is the name of one file, and there are {len(sources)} inputs; name a folder"
        )
    names = output_names([name for _, name in sources], suffix)
    return [Job(path, name, target / own) for (path, name), own in zip(sources, names, strict=True)]


def _expanded(
    inputs: Sequence[str], inside: Callable[[Path], list[tuple[Path, str]]]
) -> list[tuple[Path, str]]:
    found: list[tuple[Path, str]] = []
    for name in inputs:
        path = Path(name)
        found += inside(path) if path.is_dir() else [(path, path.name)]
    return found
