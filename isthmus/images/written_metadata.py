"""How each format that is written holds metadata, and what of it a format does not hold."""

from __future__ import annotations

from typing import Any

from isthmus.images.exif import PREFIX
from isthmus.images.metadata import WORDS, Metadata
from isthmus.images.png_chunks import Chunk, drop_chunks, insert_chunks, text_chunk

_HELD = {
    "PNG": frozenset(WORDS),
    "JPEG": frozenset({"exif", "icc", "xmp", "dpi", "comment"}),
    "WEBP": frozenset({"exif", "icc", "xmp"}),
    "AVIF": frozenset({"exif", "icc", "xmp"}),
    "TIFF": frozenset({"exif", "icc", "xmp", "dpi"}),
    "BMP": frozenset({"dpi"}),
    "GIF": frozenset({"comment"}),
}
_MAX_SEGMENT_BYTES = 65_500  # of a JPEG: EXIF or XMP of more does not fit into one segment
_INCHES_PER_METRE = 39.370079
_XMP_KEYWORD = "XML:com.adobe.xmp"


def lost_parts(kind: str, metadata: Metadata) -> tuple[str, ...]:
    """Words for what a file of the format `kind` does not hold of the metadata, and what reading lost."""
    held = _HELD.get(kind, frozenset())
    lost = [
        WORDS[name] for name in WORDS if name in metadata.parts() - held or _is_too_long(kind, name, metadata)
    ]
    return (*metadata.dropped, *lost)


def pillow_options(kind: str, metadata: Metadata) -> dict[str, Any]:
    """Arguments of Pillow's `save` for what the format holds; for PNG see `with_png_metadata`."""
    names = {"exif": "exif", "icc": "icc_profile", "xmp": "xmp", "dpi": "dpi", "comment": "comment"}
    held = _HELD.get(kind, frozenset()) if kind not in ("PNG", "TIFF") else frozenset()
    return {
        option: getattr(metadata, name)
        for name, option in names.items()
        if name in held & metadata.parts() and not _is_too_long(kind, name, metadata)
    }


def with_png_metadata(png: bytes, metadata: Metadata) -> bytes:
    """A PNG file with the metadata as chunks."""
    import zlib

    chunks: list[Chunk] = list(metadata.colour)
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi is not None:
        across, down = (round(side * _INCHES_PER_METRE) for side in metadata.dpi)
        chunks.append((b"pHYs", across.to_bytes(4, "big") + down.to_bytes(4, "big") + b"\1"))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif.removeprefix(PREFIX)))
    if metadata.xmp:
        chunks.append(text_chunk(_XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace")))
    chunks += metadata.texts
    if metadata.comment:
        chunks.append(text_chunk("Comment", metadata.comment.decode("utf-8", "replace")))
    return insert_chunks(drop_chunks(png, {kind for kind, _ in chunks} - {b"tEXt", b"iTXt"}), chunks)


def _is_too_long(kind: str, name: str, metadata: Metadata) -> bool:
    if kind != "JPEG" or name not in ("exif", "xmp", "comment"):
        return False
    return len(getattr(metadata, name) or b"") > _MAX_SEGMENT_BYTES
