"""The metadata of an image file: EXIF, colour profile, XMP, resolution, texts, colour space.

All of it is copied as bytes, except for what no longer fits pixels that were turned upright and converted:
orientation, thumbnail, and the profile of ink or CIELAB colours. The second half writes metadata into each
format, and lists what a format cannot hold.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import IO, Any

from PIL import Image

from isthmus.images.exif import PREFIX, ExifTags, clean_block, parse_block, read_orientation, read_tags
from isthmus.images.heif import open_image
from isthmus.images.ifd import Directory, DirectoryReader
from isthmus.images.opening import FORMATS, MAX_PIXELS, Source, naming_faults, open_source
from isthmus.images.png_chunks import Chunk, drop_chunks, insert_chunks, read_chunks, text_chunk
from isthmus.images.tiff_bands import find_pictures, is_tiff

_ICC_TAG, _XMP_TAG, _X, _Y, _UNIT = 34675, 700, 282, 283, 296
_PHOTOMETRIC, _ORIENTATION, _PHOTOSHOP = 262, 274, 34377
_COLOUR_CHUNKS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
# Chunks of a PNG that hold its pixels, and those that are kept in another way.
_OTHER_CHUNKS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iDOT"}
    | {b"pHYs", b"eXIf", b"iCCP", b"bKGD"}
)
_XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "
_OTHER_PROFILES = (b"CMYK", b"Lab ")
_CONVERTED = ("CMYK", "LAB", "YCbCr")
_INKS, _CIELAB = "CMYK inks, converted to RGB", "CIELAB colours, converted to sRGB"
_CONVERTED_FROM = {"CMYK": _INKS, "LAB": _CIELAB, 5: _INKS, 8: _CIELAB, 9: _CIELAB, 10: _CIELAB}
_INCHES_PER_CM = 2.54
_ORIENTATION_ATTRIBUTE = re.compile(rb"""\s*tiff:Orientation\s*=\s*(?:"[^"]*"|'[^']*')""")
_ORIENTATION_ELEMENT = re.compile(rb"<tiff:Orientation>[^<]*</tiff:Orientation>")

WORDS = {
    "exif": "EXIF",
    "icc": "the colour profile",
    "xmp": "XMP",
    "dpi": "the resolution",
    "aspect": "the shape of pixels",
    "background": "the background colour",
    "texts": "texts",
    "comment": "the comment",
    "colour": "the colour space",
}
"""What a user calls the parts that a format may not hold."""


@dataclass(frozen=True)
class Metadata:
    """The metadata that is kept of a file.

    Attributes:
        exif: a block that begins with `Exif\\0\\0`.
        icc: a colour profile.
        xmp: an XMP packet.
        dpi: pixels per inch, across and down.
        aspect: pixels across and down in equal lengths, where these are not known and pixels not square.
        background: of 16 bits, what a PNG is laid on: red, green and blue.
        texts: chunks of a PNG that hold texts.
        comment: of a JPEG or GIF.
        colour: chunks of a PNG that define its samples: gamma, primaries, transfer function.
        dropped: names of metadata that no longer fit the pixels.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    aspect: tuple[int, int] | None = None
    background: tuple[int, int, int] | None = None
    texts: tuple[Chunk, ...] = ()
    comment: bytes | None = None
    colour: tuple[Chunk, ...] = ()
    dropped: tuple[str, ...] = field(default=(), compare=False)

    def exif_tags(self) -> ExifTags | None:
        """The entries of the EXIF block, for formats that hold them as such."""
        return None if self.exif is None else parse_block(self.exif)

    def parts(self) -> frozenset[str]:
        """The names of what there is."""
        return frozenset(name for name in WORDS if getattr(self, name))


def read_metadata(path: Source) -> Metadata:
    """The metadata of a file; damaged parts are left out.

    Raises:
        ImageFileError: the file cannot be opened.
    """
    with naming_faults(path, MAX_PIXELS), open_source(path) as stream:
        start = stream.read(8)
        stream.seek(0)
        if is_tiff(start):
            return _of_tiff(stream)
        try:
            image = open_image(stream, FORMATS)
        except OSError:
            return Metadata()
        metadata = metadata_of(image)
        return _with_chunks(metadata, stream) if image.format == "PNG" else metadata


def metadata_of(image: Image.Image) -> Metadata:
    """The metadata of an image that Pillow has opened or made."""
    info = image.info
    exif = info.get("exif")
    if not isinstance(exif, bytes):
        try:  # what a caller has set, or a PNG of ImageMagick
            own = image.getexif()
            exif = own.tobytes() if len(own) else None
        except Exception:  # a broken block
            exif = None
    icc, dropped = _fitting_profile(_bytes(info.get("icc_profile")), converted=image.mode in _CONVERTED)
    if image.mode in _CONVERTED_FROM:
        dropped = (*dropped, _CONVERTED_FROM[image.mode])
    if info.get("photoshop"):
        dropped = (*dropped, "IPTC and Photoshop's data")
    if image.format == "MPO":
        dropped = (*dropped, "pictures behind the photograph")
    metadata = Metadata(
        exif=clean_block(exif) if exif else None,
        icc=icc,
        xmp=clean_xmp(_bytes(info.get("xmp") or info.get("XML:com.adobe.xmp"))),
        dpi=_jpeg_resolution(info, exif) if image.format in ("JPEG", "MPO") else _resolution(info.get("dpi")),
        aspect=_aspect(info.get("aspect") or (info.get("jfif_unit") == 0 and info.get("jfif_density"))),
        comment=_bytes(info.get("comment")),
        dropped=dropped,
    )
    return _turned(metadata, read_orientation(exif) if exif else 1)


def _turned(metadata: Metadata, orientation: int) -> Metadata:
    """Across and down change places with the pixels."""
    if orientation < 5:
        return metadata
    dpi, aspect = metadata.dpi, metadata.aspect
    return replace(metadata, dpi=dpi and dpi[::-1], aspect=aspect and aspect[::-1])


def clean_xmp(packet: bytes | None) -> bytes | None:
    """An XMP packet without the orientation, which would turn upright pixels again."""
    if not packet:
        return None
    return _ORIENTATION_ELEMENT.sub(b"", _ORIENTATION_ATTRIBUTE.sub(b"", packet))


def _of_tiff(stream: IO[bytes]) -> Metadata:
    tags = read_tags(stream)
    if tags is None:
        return Metadata()
    place = find_pictures(stream)[0]
    first = next(islice(DirectoryReader.open(stream).chain(), place, None), None)
    if first is None:
        return Metadata()
    photometric = first.number(_PHOTOMETRIC)
    icc, dropped = _fitting_profile(first.data(_ICC_TAG), converted=photometric in _CONVERTED_FROM)
    if photometric in _CONVERTED_FROM:
        dropped = (*dropped, _CONVERTED_FROM[photometric])
    if first.data(_PHOTOSHOP):
        dropped = (*dropped, "IPTC and Photoshop's data")
    unit, sides = first.number(_UNIT, 2), _resolution_tags(first)
    metadata = Metadata(
        exif=tags.pack() if tags else None,
        icc=icc,
        xmp=clean_xmp(first.data(_XMP_TAG)),
        dpi=_resolution(sides) if unit in (2, 3) else None,
        aspect=_aspect(sides) if unit == 1 else None,
        dropped=dropped,
    )
    return _turned(metadata, first.number(_ORIENTATION, 1))


def _resolution_tags(first: Directory) -> tuple[float, float] | None:
    """The resolution of a TIFF or of EXIF, in pixels per inch where it is one."""
    unit = first.number(_UNIT, 2)
    sides = []
    for tag in (_X, _Y):
        entry = first.entries.get(tag)
        if entry is None or entry.kind != 5 or entry.count != 1:
            return None
        order = "little" if first.order == "<" else "big"
        above, below = (int.from_bytes(entry.data[start : start + 4], order) for start in (0, 4))  # type: ignore[arg-type]
        if not above or not below:
            return None
        sides.append(above / below * (_INCHES_PER_CM if unit == 3 else 1))
    return sides[0], sides[1]


def _jpeg_resolution(info: Mapping[Any, Any], exif: bytes | None) -> tuple[float, float] | None:
    """As stored in the file; where it has none, Pillow assumes 72 pixels per inch."""
    if info.get("jfif_unit") in (1, 2):
        return _resolution(info.get("dpi"))
    try:
        reader = DirectoryReader.open(io.BytesIO((exif or b"").removeprefix(PREFIX)))
        first = reader.read(reader.first)
    except (ValueError, struct.error):
        return None
    return _resolution(_resolution_tags(first)) if first.number(_UNIT, 2) in (2, 3) else None


def _aspect(value: Any) -> tuple[int, int] | None:
    """Two numbers of pixels in equal lengths; None where they are equal."""
    sides = _resolution(value)
    if sides is None or sides[0] == sides[1]:
        return None
    ratio = Fraction(sides[0] / sides[1]).limit_denominator(1000)
    return (ratio.numerator, ratio.denominator) if 0 < ratio.numerator < 2**16 else None


def _with_chunks(metadata: Metadata, stream: IO[bytes]) -> Metadata:
    """The metadata of a PNG from its chunks, also from those behind the pixels."""
    stream.seek(0)
    exif, xmp = metadata.exif, metadata.xmp
    texts: list[Chunk] = []
    colour: dict[bytes, Chunk] = {}
    others: dict[str, None] = {}
    palette, background, layout = b"", None, b""
    for kind, body in read_chunks(stream):
        keyword = body.partition(b"\0")[0]
        if kind == b"eXIf":
            exif = clean_block(body) if body else exif
        elif kind in _COLOUR_CHUNKS:
            colour[kind] = (kind, body)
        elif kind == b"iTXt" and keyword == _XMP_KEYWORD.encode():
            xmp = xmp or clean_xmp(_international_text(body))
        elif kind in _TEXT_CHUNKS:
            if not keyword.startswith(_RAW_PROFILE):  # EXIF or XMP as text
                texts.append((kind, body))
        elif kind == b"IHDR":
            layout = layout or body[8:10]
        elif kind == b"PLTE":
            palette = body
        elif kind == b"bKGD" and len(layout) == 2:
            background = _background(body, palette, *layout)
        elif kind not in _OTHER_CHUNKS:
            others[kind.decode("latin-1")] = None
    dropped = (*metadata.dropped, *([f"the chunks {', '.join(others)}"] if others else []))
    return replace(
        metadata,
        exif=exif,
        xmp=xmp,
        background=background,
        texts=tuple(texts),
        colour=tuple(colour.values()),
        dropped=dropped,
    )


def _background(body: bytes, palette: bytes, bits: int, colour: int) -> tuple[int, int, int] | None:
    """The colour of a `bKGD` chunk in 16 bits (PNG, third edition, section 11.3.4.1)."""
    if colour == 3:
        entry = palette[3 * body[0] : 3 * body[0] + 3] if body else b""
        levels, most = tuple(entry), 255
    else:
        levels, most = struct.unpack(f">{len(body) // 2}H", body[: len(body) // 2 * 2]), 2**bits - 1
    if len(levels) == 1:
        levels *= 3
    if len(levels) != 3 or most == 0 or max(levels) > most:
        return None
    red, green, blue = (level * 65535 // most for level in levels)
    return red, green, blue


def _international_text(body: bytes) -> bytes | None:
    """The text of an `iTXt` chunk, where it is not compressed."""
    parts = body.split(b"\0", 1)[-1]
    if parts[:1] != b"\0":
        return None
    return parts[2:].split(b"\0", 2)[-1]


def _fitting_profile(profile: bytes | None, *, converted: bool) -> tuple[bytes | None, tuple[str, ...]]:
    if profile and (converted or profile[16:20] in _OTHER_PROFILES):
        return None, (WORDS["icc"],)
    return profile or None, ()


def _resolution(value: Any) -> tuple[float, float] | None:
    try:
        across, down = (float(side) for side in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def _bytes(value: Any) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return bytes(value) if isinstance(value, (bytes, bytearray)) and value else None


_HELD = {
    "PNG": frozenset(WORDS),
    "JPEG": frozenset({"exif", "icc", "xmp", "dpi", "aspect", "comment"}),
    "WEBP": frozenset({"exif", "icc", "xmp"}),
    "AVIF": frozenset({"exif", "icc", "xmp"}),
    "TIFF": frozenset({"exif", "icc", "xmp", "dpi", "aspect"}),
    "BMP": frozenset({"dpi"}),
    "DIB": frozenset({"dpi"}),
    "GIF": frozenset({"comment"}),
}
_MAX_SEGMENT_BYTES = 65_500  # of a JPEG: EXIF or XMP of more does not fit into one segment
_INCHES_PER_METRE = 39.370079
_DEPTH_AT = 24  # where a PNG says its bits and kind of colour


def lost_parts(kind: str, metadata: Metadata) -> tuple[str, ...]:
    """Names of the metadata that a file of the format `kind` cannot hold, and of those lost in reading."""
    held = _HELD.get(kind, frozenset())
    lost = [
        WORDS[name] for name in WORDS if name in metadata.parts() - held or _is_too_long(kind, name, metadata)
    ]
    return (*metadata.dropped, *lost)


def pillow_options(kind: str, metadata: Metadata) -> dict[str, Any]:
    """Arguments of Pillow's `save` for what the format holds; see also `with_png_metadata` and
    `with_jpeg_aspect`.
    """
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
        chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    elif metadata.aspect is not None:
        chunks.append((b"pHYs", struct.pack(">IIB", *metadata.aspect, 0)))
    if metadata.background is not None:
        bits, kind = png[_DEPTH_AT], png[_DEPTH_AT + 1]
        levels: tuple[int, ...] = metadata.background
        if kind in (0, 4):  # gray, by the weights of ITU-R BT.601
            red, green, blue = levels
            levels = ((299 * red + 587 * green + 114 * blue + 500) // 1000,)
        levels = tuple((level * (2**bits - 1) + 32767) // 65535 for level in levels)
        chunks.append((b"bKGD", struct.pack(f">{len(levels)}H", *levels)))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif.removeprefix(PREFIX)))
    if metadata.xmp:
        chunks.append(text_chunk(_XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace")))
    chunks += metadata.texts
    if metadata.comment:
        chunks.append(text_chunk("Comment", metadata.comment.decode("utf-8", "replace")))
    return insert_chunks(drop_chunks(png, {kind for kind, _ in chunks} - {b"tEXt", b"iTXt"}), chunks)


def with_jpeg_aspect(jpeg: bytes, metadata: Metadata) -> bytes:
    """A JPEG file that begins with JFIF's segment, with the shape of its pixels in it."""
    at = jpeg.find(b"JFIF\0", 0, 20)
    if metadata.aspect is None or metadata.dpi is not None or at < 0:
        return jpeg
    return jpeg[: at + 7] + struct.pack(">BHH", 0, *metadata.aspect) + jpeg[at + 12 :]


def _is_too_long(kind: str, name: str, metadata: Metadata) -> bool:
    if kind != "JPEG" or name not in ("exif", "xmp", "comment"):
        return False
    return len(getattr(metadata, name) or b"") > _MAX_SEGMENT_BYTES
