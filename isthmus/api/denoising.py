"""Remove noise from an image, or from image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from isthmus.api.file_results import FileEntry, FilesResult
from isthmus.api.inputs import ImageLike, ModelLike, PathLike, Range, load_model
from isthmus.api.restored_files import log_dropped_parts, restore_files
from isthmus.api.result import use
from isthmus.file_jobs import FileJob, Report
from isthmus.log import log_note
from isthmus.old_keywords import rename_keywords
from isthmus.progress import Progress, start_task
from isthmus.wording import format_count

if TYPE_CHECKING:
    from isthmus.images.store import Pixels


@dataclass(frozen=True, kw_only=True)
class DenoisedFile(FileEntry):
    """One image that was denoised.

    Attributes:
        sigma: standard deviation of the noise, in units of 1/255.
        estimated: whether it was estimated.
    """

    sigma: float
    estimated: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class DenoisedFiles(FilesResult):
    """Image files without their noise."""

    schema: ClassVar[str] = "isthmus.denoise/1"

    files: tuple[DenoisedFile, ...]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "noise (of 255)", "estimated", "seconds"]
        return header, [[f.output, f.sigma, "yes" if f.estimated else "", f.seconds] for f in self.files]


@rename_keywords(thorough="ensemble")
@use
def denoise(
    image: ImageLike,
    sigma: float | None = None,
    model: ModelLike | None = None,
    *,
    ensemble: bool = False,
    range: Range | None = None,
    progress: Progress | None = None,
) -> Any:
    """Remove the noise of one image, or of each image of a tensor; any size, in bounded memory.

    Args:
        image: an image file's path, its bytes or the open file, a Pillow image, NumPy `(H, W)` or
            `(H, W, C)`, or torch `(N, C, H, W)`; uint8, uint16, or floats in [0, 1] that noise may carry as
            far as -7 and 8. A second or fourth channel is alpha, which comes back as it is.
        sigma: standard deviation of the noise in units of 1/255; by default it is estimated.
        model: a model, the path of a model file, or the name of a shipped model; by default
            `photo-denoise-gray` or `photo-denoise-colour`.
        ensemble: average over the image's eight orientations (Lim et al. 2017): 0.1 to 0.2 dB better, in
            eight times the time.
        range: the samples (low, high) that stand for black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        progress: shows how far the call is; by default a bar or lines in the log.

    Returns:
        The same kind, shape, sample type and range, without samples beyond black and white where it is
        float. Of a file: NumPy `(H, W, C)`.

    Raises:
        DataError: unreadable, NaN, no pixels, samples out of range, or too small an image to estimate its
            noise.
        UsageError: `sigma` is not a level of noise, the model restores other images, or an `ensemble` of a
            model that was trained on images one way up.

    Examples:
        >>> import isthmus, numpy as np
        >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32)).astype(np.float32)
        >>> isthmus.denoise(noisy, sigma=25).shape
        (32, 32)
    """
    from isthmus.restoration.denoising import denoise_image

    with start_task(progress, "denoising", 1) as task:
        restored, levels = denoise_image(
            image, sigma, model, ensemble=ensemble, range=range, report=task.update
        )
    log_dropped_parts(image)
    if sigma is None:
        _log_levels(levels)
    return restored


@use
def denoise_files(
    inputs: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    sigma: float | None = None,
    model: ModelLike | None = None,
    ensemble: bool = False,
    range: Range | None = None,
    limit: int | None = None,
    compare: bool = False,
    force: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> DenoisedFiles:
    """Remove the noise of image files, or of those in folders.

    Works at any size. Alpha comes back as it is, EXIF and ICC are kept; in a folder every result is a PNG of
    the same name. Outputs that exist are kept, so that an interrupted job can be repeated.

    Args:
        inputs: image files, folders of them, and images of sets, such as `t.npy[5]` and `mnist:test[17]`.
        out: an image file for one input, else a folder.
        sigma: standard deviation of the noise, of 255; by default it is estimated for each image.
        model: a model, the path of a model file, or the name of a shipped model; by default
            `photo-denoise-gray` or `photo-denoise-colour`.
        ensemble: better, in eight times the time: the mean over eight orientations.
        range: the samples (low, high) that stand for black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        limit: at most so many of the images, evenly spaced.
        compare: also write NAME-compare.png: before and after.
        force: write outputs again that exist.
        workers: files in work at the same time; by default one for each core.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: as `denoise`; a model file among the images.
        DataError: no images, or the only one is unreadable; of several such are skipped.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> from PIL import Image
        >>> noise = np.random.default_rng(0).integers(90, 160, (48, 48), dtype=np.uint8)
        >>> Image.fromarray(noise).save("noisy.png")
        >>> isthmus.denoise_files("noisy.png", out="clean.png", sigma=20).files[0].output
        'clean.png'
    """
    from isthmus.restoration.denoising import check_sigma, denoise_image

    check_sigma(sigma)
    network = None if model is None else load_model(model)

    def restore(pixels: Pixels, _: FileJob, report: Report) -> tuple[Pixels, dict[str, Any]]:
        clean, levels = denoise_image(pixels, sigma, network, ensemble=ensemble, range=range, report=report)
        return clean, {"sigma": levels[0], "estimated": sigma is None}

    done = restore_files(
        "denoising",
        inputs,
        restore,
        DenoisedFile,
        out=out,
        compare=compare,
        range=range,
        limit=limit,
        force=force,
        workers=workers,
        max_pixels=max_pixels,
        progress=progress,
    )
    if sigma is None:
        _log_levels([one.sigma for one in done.values])
    return DenoisedFiles(
        out=os.fspath(out),
        files=done.values,
        already_there=done.already_there,
        skipped=done.skipped,
        complete=done.complete,
    )


def _log_levels(levels: Sequence[float]) -> None:
    """Say which noise was estimated, in units of 1/255."""
    if not levels:
        return
    if len(levels) == 1:
        log_note(
            "the noise has a standard deviation of about {level:.1f} (of 255)",
            id="denoise.noise-level",
            level=levels[0],
        )
        return
    log_note(
        "the noise of {images} was estimated: standard deviations from {low:.1f} to {high:.1f} (of 255)",
        id="denoise.noise-levels",
        images=format_count(len(levels), "image"),
        low=min(levels),
        high=max(levels),
    )
