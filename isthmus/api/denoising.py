"""Remove noise from an image, or from image files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from isthmus.api.file_results import FileEntry, FilesResult
from isthmus.api.inputs import DataLike, ImageLike, ModelLike, PathLike, Range, load_model
from isthmus.api.restored_files import PageJob, log_dropped_parts, restore_files
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
    from isthmus.model.autoencoder import Autoencoder
    from isthmus.restoration.noise_choice import DenoisingPlan

Jpeg = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True)
class DenoisedFile(FileEntry):
    """One image that was denoised.

    Attributes:
        sigma: standard deviation of the noise, in units of 1/255.
        sigma_error: standard error of `sigma`; None where it was given.
        estimated: whether it was estimated.
        model: name of the shipped model that was chosen; None where a model was given.
        reason: why it was chosen; empty for white noise, or where there was no choice.
    """

    sigma: float
    sigma_error: float | None
    estimated: bool
    model: str | None
    reason: str


@dataclass(frozen=True, kw_only=True, repr=False)
class DenoisedFiles(FilesResult):
    """Image files without their noise."""

    schema: ClassVar[str] = "isthmus.denoise/1"

    files: tuple[DenoisedFile, ...]

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "noise (of 255)", "estimated", "model", "seconds"]
        return header, [
            [f.output, f.sigma, "yes" if f.estimated else "", f.model or "", f.seconds] for f in self.files
        ]


@rename_keywords(thorough="ensemble")
@use
def denoise(
    image: ImageLike,
    sigma: float | None = None,
    model: ModelLike | None = None,
    *,
    ensemble: bool = False,
    strength: float = 1.0,
    jpeg: Jpeg = "auto",
    range: Range | None = None,
    progress: Progress | None = None,
) -> Any:
    """Remove the noise of one image, or of each image of a tensor; any size, in bounded memory.

    Args:
        image: an image file's path, its bytes or the open file, a Pillow image, NumPy `(H, W)` or
            `(H, W, C)`, or torch `(N, C, H, W)`; uint8, uint16, or floats in [0, 1] that noise may carry as
            far as -7 and 8. A second or fourth channel is alpha, which comes back as it is.
        sigma: standard deviation of white noise in units of 1/255; by default level and covariance of the
            noise are measured. 0 returns the image as it is.
        model: a model, the path of a model file, or the name of a shipped model; by default the noise
            decides: `photo-denoise-gray` and `photo-denoise-colour` for white noise, `photo-denoise-real`
            for other noise, `photo-dejpeg` for JPEG files with little noise.
        ensemble: average over the image's eight orientations (Lim et al. 2017): 0.1 to 0.2 dB better, in
            eight times the time.
        strength: share of the effect, from 0 (the image as it is) to 1.
        jpeg: auto: `photo-dejpeg` for images from JPEG files of quality 90 or less, by their quantisation
            tables, whose noise beyond the quantisation is below 3 of 255; on: for any image, also an array;
            off: never.
        range: the sample values (low, high) of black and white, where floats are not in [0, 1] or
            integers do not use their 8 or 16 bits.
        progress: shows how far the call is; by default a bar or lines in the log.

    Returns:
        The same kind, shape, sample type and range, without samples beyond black and white where it is
        float. Of a file: NumPy `(H, W, C)`.

    Raises:
        DataError: unreadable, NaN, no pixels, samples out of range, or too small an image to estimate its
            noise.
        UsageError: `sigma` is not a level of noise or `strength` no share, the model was not trained to
            remove noise or restores other images, an `ensemble` of a model that was trained on images one way
            up, or `jpeg="on"` with `sigma` or `model`.

    Examples:
        >>> import isthmus, numpy as np
        >>> noisy = np.random.default_rng(0).normal(0.5, 0.1, (32, 32)).astype(np.float32)
        >>> isthmus.denoise(noisy, sigma=25).shape
        (32, 32)
    """
    from isthmus.images.content import hold_content
    from isthmus.restoration.denoising import denoise_image

    _check_jpeg(jpeg, sigma, model)
    image = hold_content(image)
    coded = None if jpeg == "on" else jpeg == "auto" and _has_jpeg_artefacts(image)
    model = _load_denoiser(model)
    with start_task(progress, "denoising", 1) as task:
        restored, plans = denoise_image(
            image,
            sigma,
            model,
            ensemble=ensemble,
            strength=strength,
            jpeg=coded,
            range=range,
            report=task.update,
        )
    log_dropped_parts(image)
    _log_plans(plans, estimated=sigma is None and jpeg != "on")
    return restored


@use
@takes_streams()
def denoise_files(
    inputs: DataLike,
    *,
    out: PathLike,
    sigma: float | None = None,
    model: ModelLike | None = None,
    ensemble: bool = False,
    strength: float = 1.0,
    jpeg: Jpeg = "auto",
    range: Range | None = None,
    limit: int | None = None,
    compare: bool = False,
    scale: int | None = None,
    force: bool = False,
    in_place: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> DenoisedFiles:
    """Remove the noise of image files, or of those in folders.

    Works at any size. Alpha comes back as it is; bits, pages or frames and metadata are kept where the format
    that is written can store them; otherwise this is logged. In a folder every result is a PNG of the same
    name, or a TIFF for a TIFF of several pages or floats. Outputs that exist are kept, so that an interrupted
    job can be repeated.

    Args:
        inputs: image files, folders of them, and images of sets, such as `t.npy[5]` and `mnist:test[17]`;
            also arrays, tensors, Pillow images, bytes, an `ImageSet`, or a list of any of these; `-` is
            standard input.
        out: an image file for one input, else a folder; `-` is standard output.
        sigma: standard deviation of white noise, of 255; by default the noise of each image is measured.
        model: a model, the path of a model file, or the name of a shipped model; by default the noise of
            each image decides, see `denoise`.
        ensemble: better, in eight times the time: the mean over eight orientations.
        strength: share of the effect, from 0 (the image as it is) to 1.
        jpeg: auto: `photo-dejpeg` for JPEG files of quality 90 or less whose noise beyond the quantisation is
            below 3 of 255; on: for all files; off: never.
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
    from isthmus.restoration.denoising import check_sigma, check_strength, denoise_image

    check_sigma(sigma)
    check_strength(strength)
    _check_jpeg(jpeg, sigma, model)
    network = _load_denoiser(model)
    plans: list[DenoisingPlan] = []
    estimated = sigma is None and jpeg != "on"

    def restore(pixels: Pixels, page: PageJob, report: Report) -> tuple[Pixels, dict[str, Any]]:
        clean, (plan,) = denoise_image(
            pixels,
            sigma,
            network,
            ensemble=ensemble,
            strength=strength,
            jpeg=None if jpeg == "on" else jpeg == "auto" and _has_jpeg_artefacts(page.job.source),
            range=range,
            report=report,
        )
        plans.append(plan)
        return clean, {
            "sigma": plan.sigma,
            "sigma_error": plan.error,
            "estimated": estimated,
            "model": plan.model,
            "reason": plan.reason,
        }

    restored = restore_files(
        "denoising",
        inputs,
        restore,
        DenoisedFile,
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
    _log_plans(plans, estimated=estimated)
    return DenoisedFiles(files=restored.values, **restored.facts(out))


def _check_jpeg(jpeg: str, sigma: float | None, model: ModelLike | None) -> None:
    """Raises:
    UsageError: this is not a choice, or it contradicts another option.
    """
    if jpeg not in ("auto", "on", "off"):
        raise UsageError("jpeg={jpeg} is not known: auto, on or off", id="denoise.jpeg", jpeg=jpeg)
    if jpeg == "on" and (sigma is not None or model is not None):
        other = "sigma" if sigma is not None else "model"
        raise UsageError(
            "jpeg=on chooses photo-dejpeg, which contradicts {other}: give one of them",
            id="denoise.jpeg-contradicts",
            other=other,
        )


def _load_denoiser(model: ModelLike | None) -> Autoencoder | None:
    """The model that was given, if there was one.

    Raises:
        UsageError: it was not trained to restore damaged images.
    """
    if model is None:
        return None
    network = load_model(model)
    corruption = network.recipe.corruption
    if corruption.is_identity or corruption.hides_pixels or corruption.marks_defects:
        raise UsageError(
            "this model (recipe {recipe}) was not trained to remove noise",
            id="use.not-a-denoiser",
            hint=Hint.call("train", "DATA", recipe="denoising"),
            recipe=network.recipe.name,
        )
    return network


def _has_jpeg_artefacts(image: Any) -> bool:
    """Whether this is a JPEG file of such a quality that its blocks and ringing are worth removing."""
    from isthmus.images.sources import estimate_jpeg_quality
    from isthmus.restoration.noise_choice import MAX_JPEG_QUALITY

    quality = estimate_jpeg_quality(image)
    return quality is not None and quality <= MAX_JPEG_QUALITY


def _log_plans(plans: Sequence[DenoisingPlan], *, estimated: bool) -> None:
    """Log which noise was estimated, in units of 1/255, and what was chosen where it is not white."""
    if not plans:
        return
    if estimated:
        _log_levels(plans)
    counts = Counter((plan.model, plan.reason) for plan in plans if plan.model is not None and plan.reason)
    for (model, reason), count in sorted(counts.items(), key=str):
        if len(plans) == 1:
            log_note("{model} is used: {reason}", id="denoise.model", model=model, reason=reason)
        else:
            log_note(
                "{model} is used for {images}: {reason}",
                id="denoise.model-for-images",
                model=model,
                images=format_count(count, "image"),
                reason=reason,
            )


def _log_levels(plans: Sequence[DenoisingPlan]) -> None:
    if len(plans) == 1:
        log_note(
            "the noise has a standard deviation of about {level:.1f} ± {error:.1f} (of 255)",
            id="denoise.noise-level",
            level=plans[0].sigma,
            error=plans[0].error or 0.0,
        )
        return
    log_note(
        "the noise of {images} was estimated: standard deviations from {low:.1f} to {high:.1f} (of 255), "
        "each ± {error:.1f} at most",
        id="denoise.noise-levels",
        images=format_count(len(plans), "image"),
        low=min(plan.sigma for plan in plans),
        high=max(plan.sigma for plan in plans),
        error=max(plan.error or 0.0 for plan in plans),
    )
