"""Write pixels: one image file, TIFF with several pages and EXIF included, or a contact sheet."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.atomic import write_bytes
from isthmus.errors import OutputError, one_line
from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.exif import ExifTags
from isthmus.images.gif_frames import as_gif_frame
from isthmus.images.ifd import DirectoryReader, Entry
from isthmus.images.metadata import Metadata, pillow_options, with_jpeg_aspect, with_png_metadata
from isthmus.images.opening import pillow_limits
from isthmus.images.png_chunks import encode_deep_png
from isthmus.images.store import SAMPLE_TYPES, Pixels

_XMP_TAG, _BYTE = 700, 1


def encode_tiff(pages: Iterable[Pixels], *, alpha: bool, metadata: Metadata) -> bytes:
    """A TIFF file of pages (H, W, C) uint8, uint16 or float32, interleaved and deflated, without loss.

    Three channels are written as RGB, any other number as gray with further channels.

    Args:
        alpha: the last of 2 or 4 channels is alpha; 4 are RGB with alpha then.
        metadata: of the first page: EXIF, profile, XMP, resolution.
    """
    import tifffile

    tags = metadata.exif_tags()
    packed = io.BytesIO()
    with tifffile.TiffWriter(packed, byteorder=tags.order if tags is not None else "<") as writer:
        for place, pixels in enumerate(pages):
            options = _layout(pixels.shape[2], alpha)
            if metadata.dpi is not None:
                options |= {"resolution": metadata.dpi, "resolutionunit": "INCH"}
            elif metadata.aspect is not None:
                options |= {"resolution": metadata.aspect, "resolutionunit": "NONE"}
            if place == 0 and metadata.icc:
                options["iccprofile"] = metadata.icc
            if place == 0 and metadata.xmp:
                options["extratags"] = [(_XMP_TAG, _BYTE, len(metadata.xmp), metadata.xmp, True)]
            writer.write(
                pixels if pixels.shape[2] > 1 else pixels[..., 0],
                compression="zlib",
                predictor=pixels.dtype != np.float32,
                metadata=None,
                software=False,
                contiguous=False,
                **options,
            )
    return packed.getvalue() if tags is None else _attach_tags(packed.getvalue(), tags)


def _layout(channels: int, alpha: bool) -> dict[str, Any]:
    colour = channels == 3 or (alpha and channels == 4)
    layout: dict[str, Any] = {"photometric": "rgb" if colour else "minisblack"}
    if channels > 1:
        layout["planarconfig"] = "contig"
    extra = channels - (3 if colour else 1)
    if extra:
        layout["extrasamples"] = ["unassalpha" if alpha and extra == 1 else "unspecified"] * extra
    return layout


def _attach_tags(data: bytes, tags: ExifTags) -> bytes:
    """The file with the entries of an EXIF block: its first directory is written again at the end."""
    reader = DirectoryReader.open(io.BytesIO(data))
    if reader.big or reader.order != tags.order:
        return data
    first = reader.read(reader.first)
    own: dict[int, Entry] = {entry.tag: entry for entry in tags.image if entry.tag not in first.entries}
    entries = (*first.entries.values(), *own.values())
    offset = len(data) + len(data) % 2
    block = bytearray(tags.pack_at(offset, entries))
    count = struct.unpack_from(reader.order + "H", block)[0]
    struct.pack_into(reader.order + "I", block, 2 + 12 * count, first.following)
    header = data[:4] + struct.pack(reader.order + "I", offset)
    return header + data[8:].ljust(offset - 8, b"\0") + bytes(block)


# Suffix -> Pillow's format and the options that keep pixels as they are, or nearly so where the format
# cannot.
_JPEG_OPTIONS = {"quality": 95, "subsampling": 0}
_WRITERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", _JPEG_OPTIONS),
    ".jpeg": ("JPEG", _JPEG_OPTIONS),
    ".webp": ("WEBP", {"lossless": True, "exact": True}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
    ".bmp": ("BMP", {"dpi": (0, 0)}),  # not known: Pillow would make up 96
    ".gif": ("GIF", {"optimize": False}),
    ".pgm": ("PPM", {}),
    ".ppm": ("PPM", {}),
    ".pnm": ("PPM", {}),
    ".jp2": ("JPEG2000", {}),
    # Other names of the same formats.
    ".apng": ("PNG", {}),
    ".btf": ("TIFF", {}),
    ".tf8": ("TIFF", {}),
    ".jpe": ("JPEG", _JPEG_OPTIONS),
    ".jfif": ("JPEG", _JPEG_OPTIONS),
    ".dib": ("DIB", {"dpi": (0, 0)}),
    ".jpx": ("JPEG2000", {}),
    ".jpf": ("JPEG2000", {}),
    ".j2k": ("JPEG2000", {"no_jp2": True}),  # the bare stream
    ".jpc": ("JPEG2000", {"no_jp2": True}),
}
WRITABLE = frozenset(_WRITERS)
JPEG_SUFFIXES = frozenset(suffix for suffix, (kind, _) in _WRITERS.items() if kind == "JPEG")
TIFF_SUFFIXES = frozenset(suffix for suffix, (kind, _) in _WRITERS.items() if kind == "TIFF")
LOSSY = JPEG_SUFFIXES | {".avif", ".gif"}
"""Suffixes of formats that do not keep every sample."""
_HOLDS_ALPHA = ("PNG", "WEBP", "AVIF", "TIFF", "JPEG2000")
_HOLDS_16_BITS = ("PNG", "TIFF", "PPM", "JPEG2000")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def save_image(
    path: str | Path,
    array: npt.NDArray[Any],
    *,
    force: bool = True,
    exif: bytes | None = None,
    icc: bytes | None = None,
    metadata: Metadata | None = None,
    jpeg_quality: int | None = None,
) -> None:
    """Write one image in the format its suffix names; the file appears whole or not at all.

    Args:
        path: `.png`, `.webp`, `.tif`, `.bmp`, `.ppm`/`.pgm` and `.jp2` keep every sample; `.jpg`, `.avif` and
            `.gif` do not.
        array: (H, W) or (H, W, C), C from 1 to 4 (2 and 4 with alpha): bool, uint8, uint16 (`.png`, `.tif`,
            `.ppm` and `.jp2` only), or floats in [0, 1], which are clipped, scaled to 8 bits and rounded.
            With `.tif` C may be up to 64: uint8, uint16 or float32 as they are.
        force: replace an existing file.
        exif, icc: metadata kept where the format can hold it.
        metadata: the same and more, instead of them.
        jpeg_quality: 1 to 100, of JPEG files; 95 where it is not given.

    Raises:
        OutputError: exists without `force`, an unknown suffix, samples or alpha that the format cannot hold,
            a full disk, no permission.
    """
    data = encode_image(path, array, exif=exif, icc=icc, metadata=metadata, jpeg_quality=jpeg_quality)
    write_bytes(path, data, force=force)


def encode_image(
    name: str | Path,
    array: npt.NDArray[Any],
    *,
    exif: bytes | None = None,
    icc: bytes | None = None,
    metadata: Metadata | None = None,
    jpeg_quality: int | None = None,
) -> bytes:
    """One image in the format that the suffix of `name` stands for; arguments and errors as `save_image`."""
    kind, options = writer_of(name)
    if kind == "JPEG" and jpeg_quality is not None:
        options = {**options, "quality": jpeg_quality}
    metadata_written = metadata if metadata is not None else Metadata(exif=exif, icc=icc)
    pixels = np.asarray(array)
    if kind == "TIFF" and pixels.ndim == 3 and pixels.shape[2] > 4:
        return _encode_bands(name, pixels)
    samples = _check_samples(name, pixels, kind)
    try:
        return _encode(samples, kind, options, metadata_written)
    except Exception as error:  # of many types: too large a side, a mode, broken metadata
        raise encoder_error(name, kind, error) from None


def encoder_error(name: str | Path, kind: str, error: Exception) -> OutputError:
    """The error of an encoder that does not take these samples, options or metadata."""
    return OutputError(
        "cannot write {name} as {kind}: {reason}",
        id="output.encoder",
        name=name,
        kind=kind,
        reason=one_line(error),
    )


def writer_of(name: str | Path) -> tuple[str, dict[str, Any]]:
    """Pillow's name of the format that a suffix stands for, and the options it is written with.

    Raises:
        OutputError: an unknown suffix.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in _WRITERS:
        raise OutputError(
            "cannot write {name}: the file name must end with one of {suffixes}",
            id="output.image-suffix",
            name=name,
            suffixes=", ".join(_WRITERS),
        )
    return _WRITERS[suffix]


def _encode(samples: Pixels, kind: str, options: dict[str, Any], metadata: Metadata) -> bytes:
    alpha = samples.shape[2] in (2, 4)
    if kind == "TIFF":
        return encode_tiff([samples], alpha=alpha, metadata=metadata)
    deep = samples.dtype == np.uint16 and samples.shape[2] > 1
    if deep and kind == "PPM":
        height, width, _ = samples.shape
        return b"P6\n%d %d\n65535\n" % (width, height) + samples.astype(">u2").tobytes()
    if deep and kind == "JPEG2000":
        import imagecodecs

        container = "J2K" if options else "JP2"
        return bytes(
            imagecodecs.jpeg2k_encode(samples, level=0, reversible=True, codecformat=container, planar=False)
        )
    if deep:
        packed = encode_deep_png(samples)
    else:
        stream = io.BytesIO()
        with pillow_limits(samples.shape[0] * samples.shape[1]):
            image = as_gif_frame(samples) if kind == "GIF" else as_pillow(samples)
            image.save(stream, kind, **(options | pillow_options(kind, metadata)))
        packed = stream.getvalue()
    if kind == "JPEG":
        return with_jpeg_aspect(packed, metadata)
    return with_png_metadata(packed, metadata) if kind == "PNG" else packed


def save_bands(path: str | Path, array: npt.NDArray[Any], *, force: bool = True) -> None:
    """As `save_image` to a `.tif`, but 2 or 4 channels are channels, not gray or colour with alpha."""
    write_bytes(path, _encode_bands(path, array), force=force)


def holds_sixteen_bits(path: str | Path) -> bool:
    """Whether the format that this name's suffix stands for holds 16 bits; False for an unknown one."""
    kind, _ = _WRITERS.get(Path(path).suffix.lower(), ("", {}))
    return kind in _HOLDS_16_BITS


def holds_alpha(path: str | Path) -> bool:
    """Whether the format that this name's suffix stands for holds transparency; False for an unknown one."""
    kind, _ = _WRITERS.get(Path(path).suffix.lower(), ("", {}))
    return kind in _HOLDS_ALPHA


def _encode_bands(name: str | Path, array: npt.NDArray[Any]) -> bytes:
    if array.ndim != 3 or not 1 <= array.shape[2] <= MAX_CHANNELS or 0 in array.shape:
        raise OutputError(
            "cannot write {name}: an image is (H, W) or (H, W, 1 to {most}), not {shape}",
            id="output.array-shape",
            name=name,
            most=MAX_CHANNELS,
            shape=array.shape,
        )
    if array.dtype not in SAMPLE_TYPES:
        array = to_dtype(array.astype(np.float32), np.uint8)
    return encode_tiff([array], alpha=False, metadata=Metadata())


def grid(
    images: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], columns: int | None = None, *, gap: int = 2
) -> Pixels:
    """A contact sheet: images in rows of `columns`, on white, each centred in a cell of the largest size.

    Args:
        images: (N, H, W[, C]) or a sequence of (H, W[, C]), of any sizes and sample types.
        columns: default: as square a sheet as possible.
        gap: white pixels between cells.

    Returns:
        (height, width, C), C 1 when every image is gray, else 3; the widest sample type among the images.

    Raises:
        ValueError: no images, or `columns` below 1.
    """
    if len(images) == 0 or (columns is not None and columns < 1):
        raise ValueError("a grid needs at least one image and one column")
    cells = [image[:, :, None] if image.ndim == 2 else image for image in images]
    cells = [cell.astype(np.float32) if cell.dtype.kind == "f" else cell for cell in cells]
    dtype = np.result_type(*{cell.dtype for cell in cells})
    channels = 3 if any(cell.shape[2] > 2 for cell in cells) else 1
    across = min(len(cells), columns or math.ceil(math.sqrt(len(cells))))
    down = math.ceil(len(cells) / across)
    height, width = max(cell.shape[0] for cell in cells), max(cell.shape[1] for cell in cells)
    white = 1 if dtype.kind == "f" else np.iinfo(dtype).max
    shape = (down * (height + gap) - gap, across * (width + gap) - gap, channels)
    sheet = np.full(shape, white, dtype=dtype)
    for index, cell in enumerate(cells):
        row, column = divmod(index, across)
        top = row * (height + gap) + (height - cell.shape[0]) // 2
        left = column * (width + gap) + (width - cell.shape[1]) // 2
        part = to_dtype(to_channels(cell, channels), dtype)
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = part
    return sheet


def enlarge(images: npt.NDArray[Any], factor: int) -> npt.NDArray[Any]:
    """Images `(…, H, W, C)` with every pixel repeated `factor` times down and across."""
    return images if factor == 1 else images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def as_pillow(samples: Pixels) -> Image.Image:
    """(H, W, 1 to 4) uint8, or gray uint16, as Pillow holds it."""
    channels = samples.shape[2]
    plane = np.ascontiguousarray(samples[:, :, 0] if channels == 1 else samples)
    return Image.fromarray(plane) if plane.dtype == np.uint16 else Image.fromarray(plane, _MODES[channels])


def _check_samples(path: str | Path, array: npt.NDArray[Any], kind: str) -> Pixels:
    """(H, W, C) uint8 or uint16.

    Raises:
        OutputError: the format does not hold them.
    """
    pixels = array[:, :, None] if array.ndim == 2 else array
    if pixels.ndim == 3 and 4 < pixels.shape[2] <= MAX_CHANNELS:
        raise OutputError(
            "cannot write {path}: {kind} stores 1 to 4 channels, not {shape}",
            id="output.channels",
            hint="use .tif",
            path=path,
            kind=kind,
            shape=pixels.shape[2],
        )
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 or 0 in pixels.shape:
        raise OutputError(
            "cannot write {path}: an image is (H, W) or (H, W, 1 to 4), not {shape}",
            id="output.image-shape",
            path=path,
            shape=array.shape,
        )
    if pixels.dtype.kind in "fb":
        if np.isnan(pixels).any():
            raise OutputError(
                "cannot write {path}: the image contains NaN", id="output.not-finite", path=path
            )
        pixels = np.rint(np.clip(pixels, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise OutputError(
            "cannot write {path}: samples must be uint8, uint16 or float, not {dtype}",
            id="output.sample-type",
            path=path,
            dtype=pixels.dtype,
        )
    channels = pixels.shape[2]
    is_hard = (
        kind == "GIF" and channels in (2, 4) and not ((pixels[..., -1] > 0) & (pixels[..., -1] < 255)).any()
    )
    if channels in (2, 4) and kind not in _HOLDS_ALPHA and not is_hard:
        raise OutputError(
            "cannot write {path}: {kind} holds no {transparency}; use .png",
            id="output.transparency",
            path=path,
            kind=kind,
            transparency="soft transparency" if kind == "GIF" else "transparency",
        )
    if pixels.dtype == np.uint16 and (kind not in _HOLDS_16_BITS or (kind == "PPM" and channels in (2, 4))):
        raise OutputError(
            "cannot write {path}: only .png, .tif, .ppm and .jp2 store 16 bits",
            id="output.sixteen-bits",
            hint="use one of these, or reduce the image to 8 bits",
            path=path,
        )
    return np.ascontiguousarray(pixels)
