"""Many image files, one after another: read, repair, write; what cannot be read is named and left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.errors import DataError, ExistsError, OutputError
from isthmus.images.formats import decode, metadata
from isthmus.images.listing import ImageFile, Listing, list_images
from isthmus.images.opening import ImageFileError
from isthmus.images.store import Pixels, Skipped
from isthmus.images.write import WRITABLE, grid, save_image
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

Tell = Callable[[int, int], None]
Repair = Callable[[Pixels, ImageFile, Tell], tuple[Pixels, dict[str, Any]]]


@dataclass(frozen=True)
class Repaired:
    """One file: its name, where the result is, its size, time, and what the repair found out."""

    name: str
    output: Path
    height: int
    width: int
    seconds: float
    facts: dict[str, Any]


@dataclass
class Outcome:
    """`kept` were there already; `skipped` could not be repaired."""

    repaired: list[Repaired] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def gather(paths: Sequence[str | Path]) -> Listing:
    """The image files that are given, and those in the folders that are given.

    Raises:
        DataError: a folder without images, or one that cannot be listed.
    """
    files: list[ImageFile] = []
    skipped: list[Skipped] = []
    for path in map(Path, paths):
        listed = list_images(path) if is_folder(path) else Listing([ImageFile(str(path), path.name, None)])
        files += listed.files
        skipped += listed.skipped
    return Listing(files, tuple(skipped))


def outputs(files: Sequence[ImageFile], out: str | Path, *, folder: bool, force: bool) -> list[Path]:
    """Where each result goes: `out` itself for one image, else PNG files of their names in the folder `out`.

    Raises:
        UsageError: `out` is empty or `-`.
        OutputError: one name for several images, the one exists and `force` is off, or it cannot be written.
    """
    if out in ("", "-"):
        check_output(out, force=force)  # raises
    place = native_path(out)
    if place.suffix.lower() in WRITABLE and not is_folder(place):
        if folder or len(files) != 1:
            raise OutputError(f"{out} is the name of one image, and {len(files)} are to be written")
        check_output(out, force=force)
        return [place]
    if place.is_file():
        raise OutputError(f"{out} is a file whose suffix names no image format, and no folder")
    check_folder(out)
    return safe_outputs(place, [file.name for file in files], suffix=".png")


def repair_files(
    files: Sequence[ImageFile],
    places: Sequence[Path],
    repair: Repair,
    *,
    compare: bool = False,
    force: bool = False,
    listener: Callable[[float, str], None] | None = None,
) -> Outcome:
    """Repair each file and write it with its EXIF and ICC metadata.

    Of several files one is left out that cannot be read or whose result cannot be written; what exists is
    kept, also where another process has written it meanwhile.

    Args:
        repair: `(pixels (H, W, C), file, tell) -> (pixels, facts)`; alpha comes as the last channel, and
            `tell` takes (pieces done, pieces in all).
        compare: also write `NAME-compare.png`, the image before and after.
        force: write again what is already there.
        listener: told (files done, with a fraction for the one in work; its name).

    Raises:
        OutputError: the only result cannot be written, or the disk is full.
    """
    outcome = Outcome()
    single = len(files) == 1
    for done, (file, place) in enumerate(zip(files, places, strict=True)):

        def tell(pieces: int, of: int, done: int = done, name: str = file.name) -> None:
            if listener is not None:
                listener(done + pieces / of, name)

        tell(0, 1)
        if not force and path_exists(place):
            outcome.kept.append(place)
            continue
        start = time.monotonic()
        try:
            exif, icc = metadata(file.path)
            before = decode(file.path, alpha="keep")
            after, facts = repair(before, file, tell)
            if compare:
                pair = [one[..., :-1] if one.shape[2] in (2, 4) else one for one in (before, after)]
                save_image(
                    place.with_name(shorten_name(place.stem, "-compare.png")), grid(pair, 2), force=True
                )
            height, width = before.shape[:2]
            del before
            save_image(place, after, force=force, exif=exif, icc=icc)
        except ExistsError:
            if single:
                raise
            outcome.kept.append(place)
            continue
        except ImageFileError as error:
            outcome.skipped.append(Skipped(file.name, error.reason))
            continue
        except DataError as error:
            outcome.skipped.append(Skipped(file.name, error.message))
            continue
        except OutputError as error:
            if single or affects_every_output(error):
                raise
            outcome.skipped.append(Skipped(file.name, error.message))
            continue
        outcome.repaired.append(Repaired(file.name, place, height, width, time.monotonic() - start, facts))
    return outcome
