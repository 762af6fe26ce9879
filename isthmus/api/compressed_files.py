"""Image files to compressed files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from isthmus.api.compressed_inputs import Dropped, count_pixels, log_dropped_parts
from isthmus.api.file_results import FilesResult, keep_time, process_files
from isthmus.api.inputs import DataLike, ModelLike, PathLike, Range, describe_model, list_image_files
from isthmus.api.result import keys, skipped_inputs, use
from isthmus.api.standard_streams import takes_streams
from isthmus.file_jobs import FileJob, Report, reserve_memory
from isthmus.log import SkippedInput, log_skipped
from isthmus.messages import Message
from isthmus.progress import Progress
from isthmus.wording import format_count, format_size

SHIPPED_CODEC = "photo-codec"
MAX_NAMED_FILES = 5  # of those that grew, in the summary
BYTES_PER_PX = 24  # estimated: the picture, its alpha, and the symbols of all tiles
DIFFERENCE_GAIN = 8.0  # of the difference in a picture to compare


@dataclass(frozen=True)
class CompressedFile:
    """One image that was compressed.

    Attributes:
        source: the image file.
        file: the compressed file.
        original_bytes: size of the image file.
        bytes: size of the compressed file.
        bpp: its bits per pixel.
        quality: 1 to 100.
        psnr: fidelity in dB, where the file was decoded again (`verify`, `compare`, a target `psnr`); else
            null.
        ssim: structural similarity, where the file was decoded again for `verify` or `compare`; else null.
        missed: why the file does not reach `bpp` or `psnr`; null where it does.
    """

    source: str
    file: str
    original_bytes: int
    bytes: int
    bpp: float
    quality: float
    psnr: float | None
    ssim: float | None = None
    missed: str | None = None

    @property
    def grew(self) -> bool:
        """Whether the compressed file is larger than the image file."""
        return self.bytes > self.original_bytes


@dataclass(frozen=True, kw_only=True, repr=False)
class CompressedFiles(FilesResult):
    """Image files that were compressed.

    Attributes:
        model: the model, as it was given.
        original_bytes: size of all image files.
        bytes: size of all compressed files.
        verified: whether each file was decoded again before it was written.
    """

    schema: ClassVar[str] = "isthmus.compress/1"
    document: ClassVar = keys("out model files original_bytes bytes already_there verified")

    model: str
    files: tuple[CompressedFile, ...]
    verified: bool

    @property
    def original_bytes(self) -> int:
        return sum(file.original_bytes for file in self.files)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "bytes", "bits per pixel", "quality", "PSNR", "SSIM"]
        return header, [[f.file, f.bytes, f.bpp, f.quality, f.psnr, f.ssim] for f in self.files]

    @property
    def incomplete(self) -> tuple[SkippedInput, ...]:
        missed = [SkippedInput(file.source, file.missed) for file in self.files if file.missed is not None]
        return (*self.skipped, *missed)

    def summary(self) -> str:
        words = f"{format_count(len(self.files), 'image')} compressed"
        if self.files:
            words += f": {format_size(self.original_bytes)} became {format_size(self.bytes)}"
            saved = self.original_bytes - self.bytes
            if saved >= 0:
                words += f", {100 * saved / max(self.original_bytes, 1):.0f} % saved"
            else:
                words += f", {format_size(-saved)} more"
            words += self._describe_fidelity()
            words += ", every file verified" if self.verified else ""
        return "\n".join((words + self.kept_text(), *self._describe_growth()))

    def _describe_fidelity(self) -> str:
        pairs = [
            (file.psnr, file.ssim) for file in self.files if file.psnr is not None and file.ssim is not None
        ]
        if not pairs:
            return ""
        psnr, ssim = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
        means = ", means" if len(pairs) > 1 else ""
        return f", PSNR {psnr:.2f} dB, SSIM {ssim:.4f}{means}"

    def _describe_growth(self) -> tuple[str, ...]:
        grown = [file for file in self.files if file.grew]
        if not grown:
            return ()
        named = [
            f"{file.source} ({format_size(file.original_bytes)} to {format_size(file.bytes)})"
            for file in grown[:MAX_NAMED_FILES]
        ]
        ending = f" and {len(grown) - MAX_NAMED_FILES:,} more" if len(grown) > MAX_NAMED_FILES else ""
        return (
            f"{format_count(len(grown), 'file')} grew: {', '.join(named)}{ending}.",
            "Tiny and flat images and text are smaller without loss, as PNG or lossless WebP.",
        )


@use
@takes_streams(".isth")
def compress_files(
    inputs: DataLike,
    *,
    out: PathLike,
    model: ModelLike = SHIPPED_CODEC,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
    verify: bool = False,
    compare: bool = False,
    skip_larger: bool = False,
    range: Range | None = None,
    limit: int | None = None,
    force: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> CompressedFiles:
    """Compress image files, or those in folders, into .isth files.

    The same model is needed to decompress. Colour profile, EXIF and transparency are kept; images have 8 bits
    per sample. Outputs that exist are kept, so that an interrupted job can be repeated. A file gets the time
    of the image file that it is made from.

    Args:
        inputs: image files, folders of them, and images of sets, such as `t.npy[5]` and `mnist:test[17]`;
            also arrays, tensors, Pillow images, bytes, an `ImageSet`, or a list of any of these.
        out: a .isth file for one image, else a folder.
        model: a model trained with the recipe `codec`, its file, or the name of a shipped model.
        quality: 1 (small) to 100 (faithful); by default 50.
        bpp: at most this many bits per pixel: the quality is searched for. If no file is that small, the
            smallest is written, and the result reports it.
        psnr: at least this many dB: the quality is searched for. If no quality reaches it, the best file is
            written, and the result reports it.
        preview: put a small picture of this many pixels a side into the file.
        effort: 0 to 100 steps that fit the code to the image: smaller files, slower; 10 is worth it.
        verify: decode each file and measure its fidelity before it is written.
        compare: also write NAME-compare.png: before, after, and eight times their difference, one pixel for
            each; measures as `verify` does.
        skip_larger: write no file that would be larger than the image file, and name it as skipped.
        range: sample values (low, high) of black and white, if they are not those of the sample type.
        limit: at most this many of the images, evenly spaced.
        force: write outputs again that exist.
        workers: files in work at the same time; by default one for each core.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: two of `quality`, `bpp` and `psnr`, or one out of range; a model file among the images.
        DataError: no images, or the only one is unreadable; of several such are skipped.
        CapabilityError: a model that cannot compress.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> from PIL import Image
        >>> Image.fromarray(np.full((64, 48, 3), 90, dtype=np.uint8)).save("photo.png")
        >>> isthmus.compress_files("photo.png", out="photo.isth").files[0].quality
        50.0
    """
    from isthmus.api.picture_views import amplify_difference
    from isthmus.atomic import write_bytes
    from isthmus.codec.container import SUFFIX
    from isthmus.codec.fidelity import measure_fidelity
    from isthmus.codec.models import codec_for
    from isthmus.codec.picture import read_picture
    from isthmus.codec.rate_control import check_target, encode_picture
    from isthmus.images.cache import memory_bytes
    from isthmus.images.write import grid, save_image

    check_target(quality, bpp, psnr, preview, effort)
    files = list_image_files(inputs, limit=limit, range=range)
    codec = codec_for(model)

    def work(job: FileJob, _: Report) -> tuple[CompressedFile | SkippedInput, Dropped]:
        pixels = count_pixels(job, max_pixels)
        with reserve_memory(pixels * BYTES_PER_PX, memory_bytes() // 4):
            source = job.source if job.image is None else job.image
            image = read_picture(source, range=range, max_pixels=max_pixels)
            encoded = encode_picture(
                image, codec, quality=quality, bpp=bpp, psnr=psnr, preview=preview, effort=effort
            )
            original = job.source.stat().st_size if job.image is None else job.image.nbytes
            if skip_larger and len(encoded.data) > original:
                reason = Message(
                    "would grow from {original} to {compressed}",
                    id="codec.would-grow",
                    original=format_size(original),
                    compressed=format_size(len(encoded.data)),
                )
                return SkippedInput(job.name, reason), Dropped(job.name, several=False, parts=())
            fidelity = measure_fidelity(encoded.data, image, codec) if verify or compare else None
            if job.companion is not None and fidelity is not None:
                apart = amplify_difference(fidelity.pixels, image.pixels, DIFFERENCE_GAIN)
                save_image(job.companion, grid([image.pixels, fidelity.pixels, apart], 3), force=force)
        write_bytes(job.target, encoded.data, force=force)
        if job.image is None:
            keep_time(job.source, job.target)
        entry = CompressedFile(
            source=os.fspath(job.source),
            file=os.fspath(job.target),
            original_bytes=original,
            bytes=len(encoded.data),
            bpp=8 * len(encoded.data) / pixels,
            quality=encoded.quality / 100,
            psnr=encoded.psnr if fidelity is None else fidelity.psnr,
            ssim=None if fidelity is None else fidelity.ssim,
            missed=encoded.missed,
        )
        return entry, Dropped(job.name, image.several, image.lost)

    processed = process_files(
        "compressing",
        files,
        work,
        out=out,
        suffix=SUFFIX,
        suffixes=(SUFFIX,),
        force=force,
        workers=workers,
        progress=progress,
        companion="-compare.png" if compare else None,
    )
    log_dropped_parts([picture for _, picture in processed.values])
    left_out = [entry for entry, _ in processed.values if isinstance(entry, SkippedInput)]
    log_skipped(left_out)
    return CompressedFiles(
        out=os.fspath(out),
        model=describe_model(model, codec.model),
        files=tuple(entry for entry, _ in processed.values if isinstance(entry, CompressedFile)),
        already_there=processed.already_there,
        verified=verify,
        skipped=skipped_inputs(processed.skipped, left_out),
        complete=processed.complete,
    )
