"""Compressed files to image files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from isthmus.api.compressed_files import BYTES_PER_PX
from isthmus.api.compressed_inputs import list_compressed
from isthmus.api.file_results import FilesResult, keep_time, process_files
from isthmus.api.inputs import (
    ModelLike,
    PathLike,
    Region,
    check_choice,
    check_count,
    describe_model,
    refuse_unused,
)
from isthmus.api.result import keys, use
from isthmus.api.standard_streams import takes_streams
from isthmus.errors import Hint, UsageError
from isthmus.file_jobs import FileJob, expand_inputs, reserve_memory
from isthmus.log import SkippedInput
from isthmus.outputs import is_folder
from isthmus.progress import Progress

if TYPE_CHECKING:
    from isthmus.codec.container import Container
    from isthmus.codec.picture import Picture
    from isthmus.codec.ready import Codec

FormatKind = Literal["png", "tif", "webp", "bmp", "jpg", "jpeg", "ppm"]
DEFAULT_FORMAT: FormatKind = "png"


@dataclass(frozen=True)
class DecompressedFile:
    """One compressed file that was decompressed.

    Attributes:
        source: the compressed file.
        file: the image file.
        size: height and width in pixels.
        damage: what of it was painted from its surroundings.
        model: the model that opened it; null for a preview, which needs none.
    """

    source: str
    file: str
    size: tuple[int, int]
    damage: tuple[str, ...]
    model: str | None


@dataclass(frozen=True, kw_only=True, repr=False)
class DecompressedFiles(FilesResult):
    """Compressed files that were decompressed.

    Attributes:
        model: the model that opened all of `files`; null where several did, or none.
    """

    schema: ClassVar[str] = "isthmus.decompress/1"
    document: ClassVar = keys("out model files already_there")

    model: str | None
    files: tuple[DecompressedFile, ...]

    @property
    def incomplete(self) -> tuple[SkippedInput, ...]:
        damaged = [SkippedInput(file.source, damage) for file in self.files for damage in file.damage]
        return (*self.skipped, *damaged)

    def rows(self) -> tuple[list[str], list[list[object]]]:
        header = ["file", "height", "width", "damaged parts"]
        return header, [[f.file, *f.size, len(f.damage)] for f in self.files]


@use
@takes_streams(".png")
def decompress_files(
    inputs: PathLike | Sequence[PathLike],
    *,
    out: PathLike,
    model: ModelLike | None = None,
    format: FormatKind | None = None,
    jpeg_quality: int | None = None,
    preview_only: bool = False,
    region: Region | None = None,
    keep_going: bool = False,
    limit: int | None = None,
    force: bool = False,
    workers: int | None = None,
    max_pixels: int = 512_000_000,
    progress: Progress | None = None,
) -> DecompressedFiles:
    """Decompress .isth files, or those in folders, into image files.

    Where the image format holds no transparency, the image is laid on white. Outputs that exist are kept, so
    that an interrupted job can be repeated. An image file gets the time of its compressed file. With
    `keep_going` a damaged file gives what is whole of it.

    Args:
        inputs: .isth files and folders of them.
        out: an image file for one input, else a folder.
        model: the model they were compressed with; by default, and for files that no other model made, the
            shipped one that made each file.
        format: format of images in a folder, by default png; of a single file the suffix decides.
        jpeg_quality: of JPEG files, 1 to 100; by default 95.
        preview_only: write the small pictures that `compress_files` put into the files (`preview`), without a
            model; files without one are skipped.
        region: decode only this part.
        keep_going: paint what is damaged from its surroundings, and name it.
        limit: at most this many of the files, evenly spaced.
        force: write outputs again that exist.
        workers: files in work at the same time; by default one for each core.
        max_pixels: larger images are refused.
        progress: shows how far the call is; by default a bar or lines in the log.

    Raises:
        UsageError: a region outside of the picture; an option without effect.
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
    from isthmus import pretrained
    from isthmus.codec import container
    from isthmus.codec.decoding import decode_picture
    from isthmus.codec.facts import read_compressed, with_name
    from isthmus.codec.grid import Rectangle
    from isthmus.codec.models import codec_for, codec_that_opens
    from isthmus.images.cache import memory_bytes
    from isthmus.images.modes import composite
    from isthmus.images.write import WRITABLE, holds_alpha, save_image, writer_of

    check_choice("format", format, get_args(FormatKind))
    own_suffix = "" if is_folder(out) else Path(out).suffix.lower()
    is_named = format is not None and own_suffix in WRITABLE
    if is_named and writer_of(f"_{own_suffix}")[0] != writer_of(f"_.{format}")[0]:
        refuse_unused("format", f"on {os.fspath(out)}, whose suffix says the format")
    check_count("limit", limit)
    suffix = ".jpg" if format == "jpeg" else f".{format or DEFAULT_FORMAT}"
    _check_jpeg_quality(jpeg_quality, own_suffix, suffix)
    if preview_only:
        _refuse_beside_previews(model=model, region=region, keep_going=keep_going or None)
    files = expand_inputs(inputs, list_compressed).evenly(limit)
    codec = None if model is None else codec_for(model)
    area = None if region is None else Rectangle.of_region(region)

    def name_opener(opener: Codec) -> str:
        if model is not None and opener is codec:
            return describe_model(model, opener.model)
        return pretrained.codecs()[opener.fingerprint.hex()]

    def decode(job: FileJob) -> DecompressedFile:
        content = container.read_container(
            read_compressed(job.source), max_pixels=max_pixels, keep_going=keep_going
        )
        damage: tuple[str, ...] = ()
        name = None
        if preview_only:
            picture = _take_preview(content)
        else:
            height, width = content.header.size
            with reserve_memory(height * width * BYTES_PER_PX, memory_bytes() // 4):
                opener = codec_that_opens(content.header, codec)
                result = decode_picture(content, opener, region=area, keep_going=keep_going)
            picture, damage = result.picture, tuple(part.message for part in result.damage)
            name = name_opener(opener)
        array = picture.array()
        if picture.alpha is not None and not holds_alpha(job.target):
            array = composite(array)
        save_image(
            job.target, array, force=force, exif=picture.exif, icc=picture.icc, jpeg_quality=jpeg_quality
        )
        keep_time(job.source, job.target)
        return DecompressedFile(os.fspath(job.source), os.fspath(job.target), picture.size, damage, name)

    processed = process_files(
        "decompressing",
        files,
        lambda job, _: with_name(job.source, lambda: decode(job)),
        out=out,
        suffix=suffix,
        suffixes=WRITABLE,
        force=force,
        workers=workers,
        progress=progress,
    )
    names = {file.model for file in processed.values}
    return DecompressedFiles(
        model=names.pop() if len(names) == 1 else None, files=processed.values, **processed.facts(out)
    )


def _check_jpeg_quality(quality: int | None, out_suffix: str, suffix: str) -> None:
    """Raises:
    UsageError: out of range, or no JPEG file is written.
    """
    if quality is None:
        return
    if isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 100:
        raise UsageError(
            "jpeg_quality={value}: expected a whole number from 1 to 100",
            id="codec.jpeg-quality",
            value=quality,
        )
    from isthmus.images.write import JPEG_SUFFIXES, WRITABLE

    if (out_suffix if out_suffix in WRITABLE else suffix) not in JPEG_SUFFIXES:
        refuse_unused("jpeg_quality", "without JPEG files", hint=Hint.add(format="jpg"))


def _refuse_beside_previews(**options: object) -> None:
    """Raises:
    UsageError: one of the options is given, and previews do not use it.
    """
    for name, value in options.items():
        if value is not None:
            refuse_unused(name, "on previews")


def _take_preview(content: Container) -> Picture:
    """Raises:
    CompressedFileError: the file has no preview, or a damaged one.
    """
    from isthmus.codec.container import CompressedFileError
    from isthmus.codec.facts import read_preview
    from isthmus.codec.picture import Picture

    pixels = read_preview(content)
    if pixels is None:
        raise CompressedFileError("no preview was put into it", id="compressed-file.no-preview")
    if pixels.shape[2] == 4:
        return Picture(pixels[:, :, :3], pixels[:, :, 3])
    return Picture(pixels)
