"""Many images to one place: a folder of files, a contact sheet, an array file, or an animation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.atomic import write_bytes
from isthmus.errors import ExistsError, Hint, OutputError
from isthmus.images.animation import MILLISECONDS, write_frames
from isthmus.images.bands import visible_bands
from isthmus.images.store import Indices, Pixels
from isthmus.images.write import WRITABLE, enlarge, grid, save_bands, save_image
from isthmus.names import below, safe_folders
from isthmus.outputs import check_folder, check_output, is_folder, native_path, path_exists

ANIMATED = (".gif", ".webp")
# A folder of such a name is never what was meant.
FILES = (".npy", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".html", ".txt", ".csv", ".json", ".pdf", ".zip")
MIN_FRAME_SIDE_PX = 224  # smaller images are enlarged in an animation that leads there and back,
MIN_IMAGE_SIDE_PX = 112  # and on a contact sheet,
MAX_ENLARGED_SHEET_SIDE_PX = 2048  # which does not become larger than this by it
MAX_ENLARGED_SAMPLES = 2**31  # numbers of all images together


def write_images(
    out: str | Path,
    pixels: Pixels,
    *,
    labels: Indices | None = None,
    classes: Sequence[str] = (),
    columns: int | None = None,
    animate: bool = False,
    milliseconds: int | None = None,
    scale: int | None = None,
    force: bool = False,
) -> tuple[Path, ...]:
    """Write images to `out`: an `.npz`, one picture, an animation, or else a folder.

    Args:
        out: `.npz` gets `images` (and `labels` and `classes`); an image's suffix a contact sheet, or with
            `animate` and `.gif` or `.webp` an animation; anything else is a folder of `00000.png`, …, with
            labels in a sub-folder per class.
        pixels: `(N, H, W, C)` uint8; files in a folder are TIFF where C is neither 1 nor 3.
        columns: of the contact sheet.
        milliseconds: each frame of an animation is shown, which then is played forward and keeps its size;
            by default it is played there and back, and small images are enlarged.
        scale: enlarge images by this whole factor, except in `.npz`; by default small ones are enlarged on a
            contact sheet and in an animation.
        force: replace what is there.

    Returns:
        The files written.

    Raises:
        OutputError: something is there and `force` is off, too large a scale, or it cannot be written.
    """
    check_free(out, force, labelled=labels is not None)
    place = Path(out)
    suffix = place.suffix.lower()
    if suffix == ".npz":
        stream = io.BytesIO()
        arrays: dict[str, Any] = {"images": pixels}
        if labels is not None:
            arrays["labels"] = labels
        if labels is not None and len(classes):
            arrays["classes"] = np.array(classes, dtype=np.str_)
        np.savez_compressed(stream, **arrays)
        write_bytes(place, stream.getvalue(), force=force)
        return (place,)
    enlarged = pixels.size * (scale or 1) ** 2
    if scale is not None and enlarged > MAX_ENLARGED_SAMPLES:
        raise OutputError(
            "cannot write {place}: it would have {enlarged:.1e} samples",
            id="output.too-many-samples",
            hint="give a smaller scale",
            place=place,
            enlarged=enlarged,
        )
    if animate and suffix in ANIMATED:
        write_frames(
            place,
            enlarge(pixels, scale or 1),
            milliseconds=milliseconds or MILLISECONDS,
            least=MIN_FRAME_SIDE_PX if scale is None and milliseconds is None else 0,
            there_and_back=milliseconds is None,
            force=force,
        )
        return (place,)
    if suffix in WRITABLE:
        save_image(place, contact_sheet(pixels, columns, scale=scale), force=force)
        return (place,)
    channels = pixels.shape[3]
    paths = image_paths(place, len(pixels), channels=channels, labels=labels, classes=classes)
    if not force and any(map(path_exists, paths)):
        raise OutputError(
            "{place} already holds images with these names; nothing was written",
            id="output.images-exist",
            hint=Hint.add(force=True),
            place=place,
        )
    for path, image in zip(paths, pixels, strict=True):
        save = save_image if channels in (1, 3) else save_bands
        save(path, enlarge(image, scale or 1), force=force)
    return paths


def image_paths(
    out: str | Path,
    count: int,
    *,
    channels: int = 3,
    labels: Indices | None = None,
    classes: Sequence[str] = (),
) -> tuple[Path, ...]:
    """The files that `write_images` writes: `out` itself, or those in the folder `out`."""
    place = Path(out)
    if place.suffix.lower() in WRITABLE | {".npz"}:
        return (place,)
    digits = max(5, len(str(count - 1)))
    folders = safe_folders(place, classes) if labels is not None and classes else []
    paths = []
    for index in range(count):
        folder = folders[int(labels[index])] if labels is not None and folders else place
        path = folder / f"{index:0{digits}d}{'.png' if channels in (1, 3) else '.tif'}"
        paths.append(below(place, path.relative_to(place).as_posix()))
    return tuple(paths)


def contact_sheet(pixels: Pixels, columns: int | None = None, *, scale: int | None = None) -> Pixels:
    """Images `(N, H, W, C)` on one sheet, by three of their channels where they have more; small ones are
    enlarged so that they can be seen.

    Args:
        columns: by default as square a sheet as possible.
        scale: enlarge by this whole factor instead.
    """
    pixels = visible_bands(pixels)
    return _enlarged_grid(list(pixels), columns, scale)


def place_side_by_side(first: Pixels, second: Pixels, scale: int | None = None) -> Pixels:
    """Two images `(H, W, C)` of one size side by side, as on `contact_sheet`, of any sample types."""
    return _enlarged_grid([first, second], 2, scale)


def _enlarged_grid(images: Sequence[Pixels], columns: int | None, scale: int | None) -> Pixels:
    sheet = grid(images, columns)
    if scale is None:
        factor = -(-MIN_IMAGE_SIDE_PX // max(images[0].shape[:2]))
        scale = max(1, min(factor, MAX_ENLARGED_SHEET_SIDE_PX // max(sheet.shape[:2])))
    return sheet if scale == 1 else grid([enlarge(image, scale) for image in images], columns)


def check_free(out: str | Path, force: bool, *, labelled: bool = False) -> None:
    """Check before the work whether `write_images` would refuse.

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
        raise OutputError(
            "{place} is a file, but several images go to a folder, a .png or an .npz",
            id="output.is-file",
            hint="name another place",
            place=place,
        )
    check_folder(out)


def _check_kind(place: Path, labelled: bool) -> None:
    suffix = place.suffix.lower()
    if suffix in FILES and not is_folder(place):
        raise OutputError(
            "cannot write {place}: images go to a folder, a picture (.png) or an .npz",
            id="output.images-suffix",
            place=place,
        )
    if labelled and suffix in WRITABLE:
        raise OutputError(
            "cannot write {place}: a picture cannot store labels",
            id="output.picture-without-labels",
            hint="name a folder or an .npz",
            place=place,
        )
