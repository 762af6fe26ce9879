"""Many images to one place: a folder of files, a contact sheet, an array file, or an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isthmus.atomic import write_bytes
from isthmus.errors import ExistsError, OutputError
from isthmus.images.animation import write_frames
from isthmus.images.store import Indices, Pixels
from isthmus.images.write import WRITABLE, grid, save_image
from isthmus.names import below, safe_folders
from isthmus.outputs import check_folder, check_output, is_folder, native_path, path_exists

ANIMATED = (".gif", ".webp")
# A folder of such a name is never what was meant.
FILES = (".npy", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".html", ".txt", ".csv", ".json", ".pdf", ".zip")
LEAST = 224


def write_images(
    out: str | Path,
    pixels: Pixels,
    *,
    labels: Indices | None = None,
    classes: Sequence[str] = (),
    columns: int | None = None,
    animate: bool = False,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write images where `out` says: `.npz`, one picture, an animation there and back, or else a folder.

    Args:
        out: `.npz` gets `images` (and `labels`); an image's suffix a contact sheet, or with `animate` and
            `.gif` or `.webp` an animation that is played there and back; anything else is a folder of
            `00000.png`, …, with labels in a sub-folder per class.
        pixels: `(N, H, W, C)` uint8.
        columns: of the contact sheet.
        force: replace what is there.

    Returns:
        The files written.

    Raises:
        OutputError: something is there and `force` is off, or it cannot be written.
    """
    check_free(out, force, labelled=labels is not None)
    place = Path(out)
    suffix = place.suffix.lower()
    if suffix == ".npz":
        stream = io.BytesIO()
        arrays = {"images": pixels} if labels is None else {"images": pixels, "labels": labels}
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        write_bytes(place, stream.getvalue(), force=force)
        return (place,)
    if animate and suffix in ANIMATED:
        write_frames(place, pixels, least=LEAST, there_and_back=True, force=force)
        return (place,)
    if suffix in WRITABLE:
        save_image(place, grid(pixels, columns), force=force)
        return (place,)
    digits = max(5, len(str(len(pixels) - 1)))
    folders = safe_folders(place, classes) if labels is not None and classes else []
    paths = []
    for index in range(len(pixels)):
        folder = folders[int(labels[index])] if labels is not None and folders else place
        path = folder / f"{index:0{digits}d}.png"
        paths.append(below(place, path.relative_to(place).as_posix()))
    if not force and any(map(path_exists, paths)):
        raise OutputError(
            f"{place} holds images of these names; nothing was written",
            hint="repeat the command with --force",
        )
    for path, image in zip(paths, pixels, strict=True):
        save_image(path, image, force=force)
    return tuple(paths)


def check_free(out: str | Path, force: bool, *, labelled: bool = False) -> None:
    """What `write_images` would refuse, found out before the work.

    Raises:
        UsageError: `out` is empty or `-`.
        OutputError: a single file is there already and `force` is off, or nothing of that kind is written.
    """
    place = native_path(out)
    suffix = place.suffix.lower()
    _check_kind(place, labelled)
    if (suffix == ".npz" or suffix in WRITABLE or suffix in ANIMATED) and not is_folder(place):
        check_output(out, force=force)
        return
    if place.is_file():
        if not force:
            raise ExistsError(place)
        raise OutputError(f"{place} is a file; many images need a folder, a .png or a .npz")
    check_folder(out)


def _check_kind(place: Path, labelled: bool) -> None:
    suffix = place.suffix.lower()
    if suffix in FILES and not is_folder(place):
        raise OutputError(f"cannot write {place}: images go to a folder, a picture (.png) or an .npz")
    if labelled and suffix in WRITABLE:
        raise OutputError(f"cannot write {place}: a picture holds no labels; name a folder or an .npz")
