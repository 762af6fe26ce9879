"""Image files to compressed files and back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from isthmus.api.compressed_inputs import Dropped, count_pixels, list_compressed, log_dropped_parts
from isthmus.api.file_results import FilesResult, process_files
from isthmus.api.inputs import (
    ModelLike,
    PathLike,
    Range,
    Region,
    check_choice,
    describe_model,
    list_image_files,
    refuse_unused,
)
from isthmus.api.result import use
from isthmus.api.standard_streams import takes_streams
from isthmus.file_jobs import FileJob, Report, expand_inputs, reserve_memory
from isthmus.log import SkippedInput
from isthmus.outputs import is_folder
from isthmus.progress import Progress
from isthmus.wording import format_count, format_size

FormatKind = Literal["png", "tif", "webp", "bmp", "jpg", "ppm"]
SHIPPED_CODEC = "photo-codec"
DEFAULT_FORMAT: FormatKind = "png"
_BYTES_PER_PX = 24  # estimated: the picture, its alpha, and the symbols of all tiles


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
        psnr: fidelity in dB, where the file was verified; else null.
    """

    source: str
    file: str
    original_bytes: int
    bytes: int
    bpp: float
    quality: float
    psnr: float | None


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
    document: ClassVar = {
        "out": "out",
        "model": "model",
        "files": "files",
        "original_bytes": "original_bytes",
        "bytes": "bytes",
        "already_there": "already_there",
        "verified": "verified",
    }

    model: str
    files: tuple[CompressedFile, ...]
    verified: bool

    @property
    def original_bytes(self) -> int:
        return sum(one.original_bytes for one in self.files)

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.files)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "bytes", "bits per pixel", "quality", "PSNR"]
        return header, [[f.file, f.bytes, f.bpp, f.quality, f.psnr] for f in self.files]

    def summary(self) -> str:
        words = f"{format_count(len(self.files), 'image')} compressed"
        if self.files:
            saved = 100 * (1 - self.bytes / max(self.original_bytes, 1))
            words += (
                f": {format_size(self.original_bytes)} became {format_size(self.bytes)}, {saved:.0f} % saved"
            )
            words += ", every file verified" if self.verified else ""
        return words + self.kept_text()


@dataclass(frozen=True)
class DecompressedFile:
    """One compressed file that was decompressed.

    Attributes:
        source: the compressed file.
        file: the image file.
        size: height and width in pixels.
        damage: what of it was painted from its surroundings.
    """

    source: str
    file: str
    size: tuple[int, int]
    damage: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class DecompressedFiles(FilesResult):
    """Compressed files that were decompressed.

    Attributes:
        model: the model, as it was given.
    """

    schema: ClassVar[str] = "isthmus.decompress/1"
    document: ClassVar = {"out": "out", "model": "model", "files": "files", "already_there": "already_there"}

    model: str
    files: tuple[DecompressedFile, ...]

    @property
    def incomplete(self) -> tuple[SkippedInput, ...]:
        damaged = [SkippedInput(one.source, damage) for one in self.files for damage in one.damage]
        return (*self.skipped, *damaged)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "height", "width", "damaged parts"]
        return header, [[f.file, *f.size, len(f.damage)] for f in self.files]


@use
@takes_streams(".isth")
def compress_files(
    inputs: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    model: ModelLike = SHIPPED_CODEC,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
    verify: bool = False,
    range: Range | None = None,
    limit: int | None = None,
    force: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> CompressedFiles:
    """Compress image files, or those in folders, into .isth files.

    The same model is needed to decompress. Colour profile, EXIF and transparency are kept; images have 8 bits
    per sample. Outputs that exist are kept, so that an interrupted job can be repeated.

    Args:
        inputs: image files, folders of them, and images of sets, such as `t.npy[5]` and `mnist:test[17]`.
        out: a .isth file for one image, else a folder.
        model: a model trained with the recipe `codec`, its file, or the name of a shipped model.
        quality: 1 (small) to 100 (faithful); by default 50.
        bpp: at most so many bits per pixel: the quality is sought.
        psnr: at least so many dB: the quality is sought.
        preview: put a small picture of so many pixels a side into the file.
        effort: 0 to 100 steps that fit the code to the image: smaller files, slower; 10 is worth it.
        verify: decode each file and measure its fidelity before it is written.
        range: the samples (low, high) that stand for black and white, where they are others.
        limit: at most so many of the images, evenly spaced.
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
    from isthmus.atomic import write_bytes
    from isthmus.codec.container import SUFFIX
    from isthmus.codec.models import codec_for
    from isthmus.codec.picture import read_picture
    from isthmus.codec.rate_control import check_target, encode_picture, measure_fidelity
    from isthmus.images.cache import memory_bytes

    check_target(quality, bpp, psnr, preview, effort)
    files = list_image_files(inputs, limit=limit, range=range)
    codec = codec_for(model)

    def work(job: FileJob, _: Report) -> tuple[CompressedFile, Dropped]:
        pixels = count_pixels(job, max_pixels)
        with reserve_memory(pixels * _BYTES_PER_PX, memory_bytes() // 4):
            source = job.source if job.image is None else job.image
            image = read_picture(source, range=range, max_pixels=max_pixels)
            made = encode_picture(
                image, codec, quality=quality, bpp=bpp, psnr=psnr, preview=preview, effort=effort
            )
            fidelity = measure_fidelity(made.data, image, codec) if verify else None
        write_bytes(job.target, made.data, force=force)
        entry = CompressedFile(
            source=os.fspath(job.source),
            file=os.fspath(job.target),
            original_bytes=job.source.stat().st_size if job.image is None else job.image.nbytes,
            bytes=len(made.data),
            bpp=8 * len(made.data) / pixels,
            quality=made.quality / 100,
            psnr=fidelity,
        )
        return entry, Dropped(job.name, image.several, image.lost)

    done = process_files(
        "compressing",
        files,
        work,
        out=out,
        suffix=SUFFIX,
        suffixes=(SUFFIX,),
        force=force,
        workers=workers,
        progress=progress,
    )
    log_dropped_parts([picture for _, picture in done.values])
    return CompressedFiles(
        out=os.fspath(out),
        model=describe_model(model, codec.model),
        files=tuple(entry for entry, _ in done.values),
        already_there=done.already_there,
        verified=verify,
        skipped=done.skipped,
        complete=done.complete,
    )


@use
@takes_streams(".png")
def decompress_files(
    inputs: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    model: ModelLike | None = None,
    format: FormatKind | None = None,
    region: Region | None = None,
    keep_going: bool = False,
    force: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> DecompressedFiles:
    """Decompress .isth files, or those in folders, into image files.

    Where the image format holds no transparency, the image is laid on white. Outputs that exist are kept, so
    that an interrupted job can be repeated. With `keep_going` a damaged file gives what is whole of it.

    Args:
        inputs: .isth files and folders of them.
        out: an image file for one input, else a folder.
        model: the model they were compressed with; by default `photo-codec`.
        format: format of images in a folder, by default png; a single file's name says its own.
        region: decode only this part.
        keep_going: paint what is damaged from its surroundings, and name it.
        force: write outputs again that exist.
        workers: files in work at the same time; by default one for each core.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: a region outside of the picture.
        DataError: no such files, or the only one is damaged or made with another model; of several such are
            skipped.
        OutputError: nothing can be written there, or the disk is full.

    Examples:
        >>> import isthmus, numpy as np
        >>> from PIL import Image
        >>> Image.fromarray(np.full((64, 48, 3), 90, dtype=np.uint8)).save("photo.png")
        >>> files = isthmus.compress_files("photo.png", out="photo.isth")
        >>> isthmus.decompress_files("photo.isth", out="again.png").files[0].size
        (64, 48)
    """
    from isthmus.codec import container
    from isthmus.codec.decoding import decode_picture
    from isthmus.codec.facts import read_compressed, with_name
    from isthmus.codec.grid import Rectangle
    from isthmus.codec.models import codec_for
    from isthmus.images.cache import memory_bytes
    from isthmus.images.modes import composite
    from isthmus.images.write import WRITABLE, holds_alpha, save_image

    check_choice("format", format, get_args(FormatKind))
    if format is not None and Path(out).suffix.lower() in WRITABLE and not is_folder(out):
        refuse_unused("format", f"on {os.fspath(out)}, whose suffix says the format")
    files = expand_inputs(inputs, list_compressed)
    codec = codec_for(model)
    area = None if region is None else Rectangle.of_region(region)

    def decode(job: FileJob) -> DecompressedFile:
        found = container.read_container(
            read_compressed(job.source), max_pixels=max_pixels, keep_going=keep_going
        )
        height, width = found.header.size
        with reserve_memory(height * width * _BYTES_PER_PX, memory_bytes() // 4):
            result = decode_picture(found, codec, region=area, keep_going=keep_going)
            shown = result.picture
            array = shown.array()
            if shown.alpha is not None and not holds_alpha(job.target):
                array = composite(array)
            save_image(job.target, array, force=force, exif=shown.exif, icc=shown.icc)
        damage = tuple(one.message for one in result.damage)
        return DecompressedFile(os.fspath(job.source), os.fspath(job.target), shown.size, damage)

    done = process_files(
        "decompressing",
        files,
        lambda job, _: with_name(job.source, lambda: decode(job)),
        out=out,
        suffix=f".{format or DEFAULT_FORMAT}",
        suffixes=WRITABLE,
        force=force,
        workers=workers,
        progress=progress,
    )
    return DecompressedFiles(
        out=os.fspath(out),
        model=describe_model(SHIPPED_CODEC if model is None else model, codec.model),
        files=done.values,
        already_there=done.already_there,
        skipped=done.skipped,
        complete=done.complete,
    )
