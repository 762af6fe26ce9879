"""Fill the holes of an image, or of image files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from isthmus.api.file_results import FileEntry, FilesResult
from isthmus.api.inputs import (
    DataLike,
    ImageLike,
    ModelLike,
    PathLike,
    Range,
    check_choice,
    check_count,
    load_model,
    refuse_unused,
)
from isthmus.api.restored_files import PageJob, log_dropped_parts, restore_files, to_unit_range
from isthmus.api.result import use
from isthmus.api.standard_streams import takes_streams
from isthmus.errors import Hint, UsageError
from isthmus.file_jobs import Report
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import Pixels
    from isthmus.restoration.masks import Mask

FindKind = Literal["dead-pixels"]
MAX_DEAD_SHARE = 0.01  # of the pixels; sensors have some in a million
MAX_USUAL_SHARE = 0.5  # of the pixels that a mask hides


@dataclass(frozen=True, kw_only=True)
class InpaintedFile(FileEntry):
    """One image whose holes were filled.

    Attributes:
        missing: share of its pixels that were missing, in [0, 1].
    """

    missing: float


@dataclass(frozen=True, kw_only=True, repr=False)
class InpaintedFiles(FilesResult):
    """Image files whose holes are filled."""

    schema: ClassVar[str] = "isthmus.inpaint/1"

    files: tuple[InpaintedFile, ...]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        return ["file", "missing", "seconds"], [[f.output, f"{f.missing:.3%}", f.seconds] for f in self.files]


@rename_keywords(thorough="ensemble")
@use
def inpaint(
    image: ImageLike,
    mask: ImageLike,
    model: ModelLike | None = None,
    *,
    mask_grow: int = 0,
    ensemble: bool = False,
    range: Range | None = None,
    progress: Progress | None = None,
) -> Any:
    """Fill the missing pixels of one image, or of each image of a tensor; any size, in bounded memory.

    Args:
        image: an image file's path, its bytes or the open file, a Pillow image, NumPy `(H, W)` or
            `(H, W, C)`, or torch `(N, C, H, W)`; uint8, uint16, or floats in [0, 1] that noise may carry as
            far as -7 and 8. The values of missing pixels are not used and may be NaN. A second or fourth
            channel is alpha.
        mask: `(H, W)`, or torch `(N, 1, H, W)` or `(H, W)`, an image file or a Pillow image. Every value
            above 0 is missing, so that soft edges count; in a JPEG or another lossy file every value above
            64. Where a part of a picture is transparent, its alpha is the mask. One that hides nothing leaves
            the image as it is, with a warning.
        model: a model, the path of a model file, or the name of a shipped model; by default `photo-inpaint`.
        mask_grow: also fill the pixels at most this many rows and columns from a missing pixel.
        ensemble: average over the image's eight orientations (Lim et al. 2017): 0.1 to 0.2 dB better, in
            eight times the time.
        range: the sample values (low, high) of black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        progress: shows how far the call is; by default a bar or lines in the log.

    Returns:
        The same kind, shape, sample type and range (of a file: NumPy `(H, W, C)`); pixels that are not
        missing are those of `image`.

    Raises:
        DataError: unreadable, samples out of range, the mask is unreadable, has another size, or hides
            everything; NaN where pixels are not missing.
        UsageError: the model was not trained to fill holes, restores other images, or an `ensemble` of a
            model that was trained on images one way up.

    Examples:
        >>> import isthmus, numpy as np
        >>> image = np.full((32, 32, 3), 90, dtype=np.uint8)
        >>> mask = np.zeros((32, 32), dtype=bool)
        >>> mask[8:12, 8:20] = True
        >>> isthmus.inpaint(image, mask).shape
        (32, 32, 3)
    """
    from isthmus.images.content import hold_content
    from isthmus.restoration.inpainting import inpaint_image

    image = hold_content(image)
    check_count("mask_grow", mask_grow, least=0)
    with start_task(progress, "inpainting", 1) as task:
        restored, shares = inpaint_image(
            image, mask, model, mask_grow=mask_grow, ensemble=ensemble, range=range, report=task.update
        )
    log_dropped_parts(image)
    for share in shares:
        _warn_of_share("the image", share)
    return restored


@use
@takes_streams()
def inpaint_files(
    inputs: DataLike,
    *,
    out: PathLike,
    mask: PathLike | None = None,
    mask_colour: str | None = None,
    tolerance: int = 0,
    mask_alpha: bool = False,
    find: FindKind | None = None,
    mask_grow: int | None = None,
    model: ModelLike | None = None,
    ensemble: bool = False,
    range: Range | None = None,
    limit: int | None = None,
    compare: bool = False,
    scale: int | None = None,
    force: bool = False,
    in_place: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> InpaintedFiles:
    """Fill what is missing in image files, or in those in folders; all other pixels stay as they are.

    Say what is missing in one of four ways: a picture, a colour, transparency, or dead pixels that are found.
    Outputs that exist are kept, so that an interrupted job can be repeated.

    Args:
        inputs: image files, folders of them, and images of sets, such as `t.npy[5]` and `mnist:test[17]`;
            also arrays, tensors, Pillow images, bytes, an `ImageSet`, or a list of any of these; `-` is
            standard input.
        out: an image file for one input, else a folder; `-` is standard output.
        mask: a picture of the same size, or a folder of them, by name; for pages or frames also a file of
            as many. Every value above 0 is missing, in a JPEG or another lossy mask above 64; where a part of
            it is transparent, alpha is the mask.
        mask_colour: pixels of this colour are missing: #ff00ff or 255,0,255.
        tolerance: how far each channel may differ from the colour, of 255; JPEG needs about 40, and 100
            for thin lines.
        mask_alpha: transparent pixels are missing; the result is opaque.
        find: find what is missing.
        mask_grow: also fill the pixels at most this many rows and columns from a missing pixel; by
            default 0, but for a colour in a JPEG file as far as its compression spreads it.
        model: a model, the path of a model file, or the name of a shipped model; by default `photo-inpaint`.
        ensemble: better, in eight times the time: the mean over eight orientations.
        range: the sample values (low, high) of black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        limit: at most this many of the images, evenly spaced.
        compare: also write NAME-compare.png: before and after.
        scale: enlarge that picture this many times, each pixel to a square; by default a small one is.
        force: write outputs again that exist.
        in_place: `out` is the folder of the images: each is replaced by its result, in its own format.
        workers: files in work at the same time; by default one for each core.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: as `inpaint`; none or several of the four ways; no colour; a model file among the images.
        DataError: no images, an unreadable mask for all, or the only image is unreadable; of several such are
            skipped.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> from PIL import Image
        >>> image = np.full((48, 48, 3), 90, dtype=np.uint8)
        >>> image[20, 30] = 255
        >>> Image.fromarray(image).save("camera.png")
        >>> isthmus.inpaint_files("camera.png", find="dead-pixels", out="fixed.png").files[0].name
        'camera.png'
    """
    from isthmus.restoration.inpainting import inpaint_image

    check_choice("find", find, get_args(FindKind))
    check_count("tolerance", tolerance, least=0)
    check_count("mask_grow", mask_grow, least=0)
    if tolerance and mask_colour is None:
        refuse_unused("tolerance", "without a colour that is missing", hint=Hint.add(mask_colour="COLOUR"))
    read_mask = _choose_mask(mask, mask_colour, tolerance, find, range, mask_grow, mask_alpha=mask_alpha)
    network = None if model is None else load_model(model)

    def restore(pixels: Pixels, page: PageJob, report: Report) -> tuple[Pixels, dict[str, Any]]:
        missing = read_mask(pixels, page)
        if mask_alpha:
            pixels = pixels[..., :-1]
        filled, (share,) = inpaint_image(
            pixels, missing, network, ensemble=ensemble, range=range, report=report
        )
        return filled, {"missing": share}

    restored = restore_files(
        "inpainting",
        inputs,
        restore,
        InpaintedFile,
        out=out,
        compare=compare,
        scale=scale,
        range=range,
        limit=limit,
        force=force,
        in_place=in_place,
        workers=workers,
        max_pixels=max_pixels,
        progress=progress,
    )
    for entry in restored.values:
        _warn_of_share(entry.name, entry.missing, find=find)
    _log_lossy([file.output for file in restored.values])
    return InpaintedFiles(files=restored.values, **restored.facts(out))


def _log_lossy(outputs: Sequence[str]) -> None:
    """Log that known pixels have changed where the format keeps no sample exactly."""
    from isthmus.images.write import LOSSY

    count = sum(Path(path).suffix.lower() in LOSSY for path in outputs)
    if count:
        log_note(
            "known pixels of {images} change a little: the format is lossy; .png keeps them",
            id="inpaint.lossy-format",
            log_level=logging.WARNING,
            images=format_count(count, "image"),
        )


def _choose_mask(
    mask: PathLike | None,
    colour: str | None,
    tolerance: int,
    find: str | None,
    value_range: Range | None,
    pixels: int | None,
    *,
    mask_alpha: bool,
) -> Callable[[Pixels, PageJob], Mask]:
    """What finds the missing pixels of one image: the one way that was asked for, grown by so many pixels."""
    from isthmus.restoration import masks

    if sum((mask is not None, colour is not None, mask_alpha, find is not None)) != 1:
        raise UsageError(
            "say in exactly one way what is missing: by a mask, a colour, transparent pixels or dead pixels",
            id="inpaint.mask-ways",
            hint=Hint.add(mask="MASK"),
        )
    if colour is not None:
        rgb = masks.parse_colour(colour)

        def find_colour(image: Pixels, page: PageJob) -> Mask:
            if pixels is not None:
                spread = (pixels, pixels)
            else:
                is_file = page.job.image is None
                spread = masks.jpeg_spread(page.job.source, rgb) if is_file else (0, 0)
            is_missing = masks.of_colour(to_unit_range(image, value_range), rgb, tolerance=tolerance)
            return masks.grow(is_missing, *spread)

        return find_colour
    by = pixels or 0
    if mask is not None:
        read = _mask_reader(mask)
        return lambda _, page: masks.grow(read(page), by)
    if mask_alpha:
        return lambda image, _: masks.grow(masks.of_alpha(image), by)
    return lambda image, _: masks.grow(masks.dead_pixels(to_unit_range(image, value_range)), by)


def _mask_reader(mask: PathLike) -> Callable[[PageJob], Mask]:
    """The mask of one page: the picture, or in a folder that of the image's name; of the picture the page in
    the same place, or the only one, which is read once for all.

    Raises:
        DataError: the picture is missing or unreadable.
    """
    from isthmus.outputs import is_folder
    from isthmus.restoration import masks

    if is_folder(mask):
        return lambda page: masks.from_page(
            _mask_in_folder(Path(mask), page.job.name), page.index, page.count
        )
    first = masks.from_picture(mask)
    if masks.count_pages(mask) == 1:
        return lambda _: first
    return lambda page: masks.from_page(Path(mask), page.index, page.count)


def _mask_in_folder(folder: Path, name: str) -> Path:
    """The mask of an image: of its whole name, else of its name with another suffix, `.png` before others."""
    from isthmus.images.opening import SUFFIXES
    from isthmus.outputs import native_path, path_exists

    same = native_path(folder.joinpath(*name.split("/")))
    others = (same.with_suffix(suffix) for suffix in (".png", *sorted(SUFFIXES)))
    return next((place for place in (same, *others) if path_exists(place)), same.with_suffix(".png"))


def _warn_of_share(name: str, share: float, *, find: str | None = None) -> None:
    """Warn where a mask is most likely not what was meant."""
    if find is not None:  # none is good news
        if share > MAX_DEAD_SHARE:
            log_note(
                "{name}: {share:.1%} of its pixels are taken for dead, more than a camera has; small print "
                "and texture look the same",
                id="inpaint.many-dead-pixels",
                log_level=logging.WARNING,
                name=name,
                share=share,
            )
    elif not share:
        log_note(
            "{name}: its mask hides nothing, so it stays as it is",
            id="inpaint.mask-empty",
            log_level=logging.WARNING,
            name=name,
        )
    elif share > MAX_USUAL_SHARE:
        log_note(
            "{name}: its mask hides {share:.0%} of it; every value above 0 counts as missing",
            id="inpaint.mask-large",
            log_level=logging.WARNING,
            name=name,
            share=share,
        )
