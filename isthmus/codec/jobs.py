"""Many files side by side: what is there already is left, what is broken is named at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from isthmus.codec.container import SUFFIX
from isthmus.errors import CapabilityError, DataError, ExistsError, OutputError
from isthmus.images.listing import list_images, walk_folder
from isthmus.images.store import Skipped
from isthmus.names import safe_outputs
from isthmus.outputs import (
    affects_every_output,
    check_folder,
    check_output,
    is_folder,
    native_path,
    path_exists,
)
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


@dataclass(frozen=True)
class Inputs:
    """Paths of files with the names to call them by, and the sub-folders that could not be listed."""

    files: list[tuple[Path, str]]
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What there is to do, and the inputs that are left out before anything is done."""

    jobs: list[Job]
    skipped: tuple[Skipped, ...] = ()


def image_jobs(inputs: Sequence[str], out: str, *, suffix: str = SUFFIX) -> Plan:
    """A job for every image named, and for every image in every folder named.

    Raises:
        DataError: a folder without images, or one that cannot be listed.
        UsageError: `out` is empty or `-`.
        OutputError: several inputs, and `out` is the name of one file.
    """

    def inside(folder: Path) -> Inputs:
        listed = list_images(folder)
        return Inputs([(file.path, file.name) for file in listed.files], listed.skipped)

    plan = _plan(_expand(inputs, inside), out, suffix)
    target = plan.jobs[0].target
    if target.suffix.lower() != suffix:
        raise OutputError(f"{target} is no name for a compressed image: let it end with {suffix}")
    return plan


def file_jobs(inputs: Sequence[str], out: str, *, suffix: str) -> Plan:
    """The same for compressed files.

    Raises:
        DataError: a folder without compressed files, or one that cannot be listed.
        UsageError: `out` is empty or `-`.
        OutputError: several inputs, and `out` is the name of one file.
    """
    return _plan(_expand(inputs, list_compressed), out, suffix)


def list_compressed(folder: Path) -> Inputs:
    """Path and name of every compressed file under a folder, hidden ones excepted, by path. Pipes and devices
    with such a name are among them, so that they are named as skipped.

    Raises:
        DataError: there is none, or the folder cannot be listed.
    """
    skipped: list[Skipped] = []
    found = sorted(
        Path(place, name)
        for place, _, names in walk_folder(folder, skipped)
        for name in names
        if name.endswith(SUFFIX) and not name.startswith(".")
    )
    if not found:
        unlisted = f"; {skipped[0].name} {skipped[0].reason}" if skipped else ""
        raise DataError(f"{folder}: no {SUFFIX} files in it{unlisted}")
    return Inputs([(path, path.relative_to(folder).as_posix()) for path in found], tuple(skipped))


def run(
    jobs: Sequence[Job], one: Callable[[Job], Found], *, force: bool, workers: int | None = None
) -> Iterator[Done[Found]]:
    """Do the jobs, in their order, with a few threads (by default one per core).

    A single job's errors are raised. Of several jobs one is left out whose input is broken or whose output
    cannot be written; an output that exists is kept, also one that another process has written meanwhile.

    Raises:
        ExistsError: the one output exists and `force` is off.
        OutputError: nothing can be written there, or the disk is full.
    """
    if len(jobs) == 1:
        check_output(jobs[0].target, force=force)
        yield Done(jobs[0], one(jobs[0]))
        return

    def attempt(job: Job) -> Done[Found]:
        if not force and path_exists(job.target):
            return Done(job, kept=True)
        try:
            return Done(job, one(job))
        except ExistsError:
            return Done(job, kept=True)
        except (DataError, CapabilityError, OutputError) as error:
            if isinstance(error, OutputError) and affects_every_output(error):
                raise
            reason = getattr(error, "reason", None) or error.message.removeprefix(f"{job.source}: ")
            return Done(job, skipped=Skipped(job.name, reason))

    yield from map_ordered(attempt, jobs, workers=workers, ahead=workers or count())


def _plan(inputs: Inputs, out: str, suffix: str) -> Plan:
    if out in ("", "-"):
        check_output(out, force=True)  # raises
    sources, target = inputs.files, native_path(out)
    into_folder = len(sources) > 1 or is_folder(out) or out.endswith(("/", os.sep)) or not target.suffix
    if not into_folder:
        return Plan([Job(*sources[0], target)], inputs.skipped)
    if target.is_file() or target.suffix.lower() == suffix:
        raise OutputError(
            f"{out} is the name of one file, and there are {len(sources)} inputs; name a folder"
        )
    check_folder(out)
    places = safe_outputs(target, [name for _, name in sources], suffix=suffix)
    jobs = [Job(path, name, place) for (path, name), place in zip(sources, places, strict=True)]
    return Plan(jobs, inputs.skipped)


def _expand(inputs: Sequence[str], inside: Callable[[Path], Inputs]) -> Inputs:
    files: list[tuple[Path, str]] = []
    skipped: list[Skipped] = []
    for name in inputs:
        path = Path(name)
        found = inside(path) if is_folder(path) else Inputs([(path, path.name)])
        files += found.files
        skipped += found.skipped
    return Inputs(files, tuple(skipped))
