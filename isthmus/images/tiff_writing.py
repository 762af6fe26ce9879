"""TIFF files of any number of pages, channels and sample types: written with tifffile, EXIF as it came."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from isthmus.images.exif import ExifTags
from isthmus.images.ifd import DirectoryReader, Entry
from isthmus.images.metadata import Metadata
from isthmus.images.store import Pixels

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
