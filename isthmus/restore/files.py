"""Many image files, one after another: read, repair, write; what cannot be read is named and left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isthmus.errors import DataError, OutputError
from isthmus.images.formats import decode, metadata
from isthmus.images.listing import ImageFile, find_images
from isthmus.images.opening import ImageFileError
from isthmus.images.store import Pixels, Skipped
from isthmus.images.write import WRITABLE, grid, save_image
from isthmus.names import safe_outputs

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


def gather(paths: Sequence[str | Path]) -> list[ImageFile]:
    """The image files that are given, and those in the folders that are given.

    Raises:
        DataError: a folder without images.
    """
    found: list[ImageFile] = []
    for path in map(Path, paths):
        found += find_images(path) if path.is_dir() else [ImageFile(str(path), path.name, None)]
    return found


def outputs(files: Sequence[ImageFile], out: str | Path, *, folder: bool, force: bool) -> list[Path]:
    """Where each result goes: `out` itself for one image, else PNG files of their names in the folder `out`.

    Raises:
        OutputError: one name for several images, or the one exists and `force` is off.
    """
    place = Path(out)
    if place.suffix.lower() in WRITABLE and not place.is_dir():
        if folder or len(files) != 1:
            raise OutputError(f"{out} is the name of one image, and {len(files)} are to be written")
        if place.exists() and not force:
            raise OutputError(
                f"{out} exists; nothing was overwritten", hint="repeat the command with --force"
            )
        return [place]
    if place.is_file():
        raise OutputError(f"{out} is a file whose suffix names no image format, and no folder")
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

    Args:
        repair: `(pixels (H, W, C), file, tell) -> (pixels, facts)`; alpha comes as the last channel, and
            `tell` takes (pieces done, pieces in all).
        compare: also write `NAME-compare.png`, the image before and after.
        force: write again what is already there.
        listener: told (files done, with a fraction for the one in work; its name).

    Raises:
        OutputError: a result cannot be written.
    """
    outcome = Outcome()
    for done, (file, place) in enumerate(zip(files, places, strict=True)):

        def tell(pieces: int, of: int, done: int = done, name: str = file.name) -> None:
            if listener is not None:
                listener(done + pieces / of, name)

        tell(0, 1)
        if place.exists() and not force:
            outcome.kept.append(place)
            continue
        start = time.monotonic()
        try:
            exif, icc = metadata(file.path)
            before = decode(file.path, alpha="keep")
            after, facts = repair(before, file, tell)
        except ImageFileError as error:
            outcome.skipped.append(Skipped(file.name, error.reason))
            continue
        except DataError as error:
            outcome.skipped.append(Skipped(file.name, error.message))
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if compare:
            pair = [one[..., :-1] if one.shape[2] in (2, 4) else one for one in (before, after)]
            save_image(place.with_name(f"{place.stem}-compare.png"), grid(pair, 2), force=True)
        height, width = before.shape[:2]
        del before
        save_image(place, after, force=force, exif=exif, icc=icc)
        outcome.repaired.append(Repaired(file.name, place, height, width, time.monotonic() - start, facts))
    return outcome
