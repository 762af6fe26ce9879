"""Files of more than 8 bits in colour that Pillow would narrow, and BMP and JPEG that it refuses.

They are decoded with imagecodecs, from the bytes of the file, after their headers are checked here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from PIL import Image

from isthmus.images.deep import DeepImage, scale_levels
from isthmus.images.exif import PREFIX, read_orientation
from isthmus.images.heif import decode_deep
from isthmus.images.png_chunks import decode_deep_png, read_chunks
from isthmus.images.store import Pixels

_DEEP_PNG = {"LA;16B": 2, "RGB;16B": 3, "RGBA;16B": 4}
_AVIF_START_BYTES = 2**16  # the properties stand in the first box
_MAX_HEADER_BYTES = 2**20
_BIT_FIELDS = (3, 6)
_START_OF_FRAME = frozenset({*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)})


def open_deep(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    """The picture in a file that Pillow has opened and would narrow to 8 bits; None where it would not."""
    opener = _OPENERS.get(str(image.format))
    if opener is None:
        return None
    offset = stream.tell()
    try:
        return opener(image, stream)
    finally:
        stream.seek(offset)


def open_refused(stream: IO[bytes], max_pixels: int) -> DeepImage | None:
    """The picture in a BMP of unusual bit fields, or a JPEG of 12 bits, which Pillow does not open."""
    stream.seek(0)
    start = stream.read(_MAX_HEADER_BYTES)
    refused = None
    if start[:2] == b"BM":
        refused = _open_bmp(start, stream)
    elif start[:3] == b"\xff\xd8\xff":
        refused = _open_jpeg(start, stream)
    if refused is not None and refused.height * refused.width > max_pixels:
        raise Image.DecompressionBombError
    return refused


def _open_png(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    channels = _DEEP_PNG.get(_raw_mode(image))
    if channels is None:
        return None
    keyed = channels == 3 and "transparency" in image.info
    exif = image.info.get("exif") or _late_exif(stream)
    return _deep(
        image,
        stream,
        decode_deep_png,
        channels=channels + keyed,
        alpha=channels in (2, 4) or keyed,
        orientation=read_orientation(exif) if exif else None,
        several=bool(getattr(image, "is_animated", False)),
    )


def _open_ppm(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    tile: Any = getattr(image, "tile", None)
    args = tile[0].args if tile else None
    if image.mode != "RGB" or not isinstance(args, tuple) or len(args) != 2 or int(args[1]) <= 255:
        return None
    offset, most = tile[0].offset, int(args[1])
    count = image.width * image.height * 3
    stream.seek(0)
    plain = stream.read(2) == b"P3"

    def decode(content: bytes) -> Pixels:
        if plain:
            words = re.sub(rb"#[^\n\r]*", b"", content[offset:]).split()[:count]
            values = np.array([int(word) for word in words], np.int64)
            if len(values) < count:
                raise ValueError("fewer samples than promised")
        else:
            values = np.frombuffer(content, ">u2", count, offset).astype(np.int64)
        if values.max() > most:
            raise ValueError("samples above the maximum that the header gives")
        samples = values.astype(np.uint16).reshape(image.height, image.width, 3)
        return scale_levels(samples, most)

    return _deep(image, stream, decode, channels=3)


def _open_jpeg2000(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    import imagecodecs

    stream.seek(0)
    start = stream.read(_MAX_HEADER_BYTES)
    offset = start.find(b"\xff\x4f\xff\x51")
    if offset < 0 or len(start) < offset + 42:
        return None
    channels = struct.unpack_from(">H", start, offset + 40)[0]
    depths = {
        start[offset + 42 + 3 * index] for index in range(channels) if offset + 42 + 3 * index < len(start)
    }
    if len(depths) != 1 or not 1 <= channels <= 4:
        return None
    depth = depths.pop()
    bits = (depth & 0x7F) + 1
    if bits == 8 or bits > 16 or (bits == 16 and channels == 1):
        return None

    def decode(content: bytes) -> Pixels:
        samples: Pixels = np.asarray(imagecodecs.jpeg2k_decode(content))
        if samples.dtype.kind == "u":
            return samples
        # Signed samples: the lowest is black, as Pillow has it.
        levels: Pixels = samples.astype(np.int32) + 2 ** (bits - 1)
        return levels.astype(np.uint8 if bits < 8 else np.uint16)

    return _deep(
        image,
        stream,
        decode,
        channels=channels,
        alpha=channels in (2, 4),
        bits=bits,
        dtype=np.uint8 if bits < 8 else np.uint16,
    )


def _open_avif(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    import imagecodecs

    stream.seek(0)
    start = stream.read(_AVIF_START_BYTES)
    flags = [start[box.end() + 2] for box in re.finditer(b"av1C", start) if box.end() + 2 < len(start)]
    if not any(flag & 0x40 for flag in flags):
        return None
    alpha = image.mode in ("RGBA", "LA")
    return _deep(
        image,
        stream,
        lambda content: imagecodecs.avif_decode(content, index=0),
        channels=3 + alpha,
        alpha=alpha,
        bits=12 if any(flag & 0x20 for flag in flags) else 10,
        several=bool(getattr(image, "is_animated", False)),
    )


def _open_heif(image: Image.Image, stream: IO[bytes]) -> DeepImage | None:
    bits = int(image.info.get("bit_depth", 8))
    if bits <= 8:
        return None
    alpha = image.mode in ("RGBA", "LA")
    return _deep(
        image,
        stream,
        lambda content: decode_deep(content, bits),
        channels=len(image.getbands()),
        alpha=alpha,
        bits=bits,
        orientation=1,  # it is turned already
        several=bool(getattr(image, "is_animated", False)),
    )


_OPENERS: dict[str, Callable[[Image.Image, IO[bytes]], DeepImage | None]] = {
    "PNG": _open_png,
    "PPM": _open_ppm,
    "JPEG2000": _open_jpeg2000,
    "AVIF": _open_avif,
    "HEIF": _open_heif,
}


def _open_bmp(start: bytes, stream: IO[bytes]) -> DeepImage | None:
    if len(start) < 54:
        return None
    header, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", start, 14)
    if header < 40 or bits not in (16, 32) or compression not in _BIT_FIELDS or width <= 0 or height == 0:
        return None
    masks = struct.unpack_from("<4I", start.ljust(70, b"\0"), 54)
    alpha = (header >= 56 or compression == 6) and masks[3] != 0
    masks = masks[: 3 + alpha]
    if any(mask & (mask + (mask & -mask)) for mask in masks):  # bits apart
        return None
    wide = any(mask.bit_count() > 8 for mask in masks)
    return DeepImage(
        height=abs(height),
        width=width,
        channels=3 + alpha,
        dtype=np.dtype(np.uint8),
        format="BMP",
        load=_loader(
            stream,
            lambda content: _decode_bit_fields(content, width, height, bits, masks),
            abs(height),
            width,
            3 + alpha,
            np.uint8,
        ),
        alpha=alpha,
        narrowed=wide,
    )


def _decode_bit_fields(content: bytes, width: int, height: int, bits: int, masks: tuple[int, ...]) -> Pixels:
    """Pixels of 16 or 32 bits, in which each channel has the bits of its mask, scaled to 8 bits.

    Rows are padded to four bytes; the last row of the picture stands first where the height is positive.
    """
    (offset,) = struct.unpack_from("<I", content, 10)
    row_bytes = (width * bits + 31) // 32 * 4
    rows = np.frombuffer(content, np.uint8, row_bytes * abs(height), offset).reshape(abs(height), row_bytes)
    values = rows[:, : width * bits // 8].view(f"<u{bits // 8}").astype(np.uint64)
    channels = []
    for mask in masks:
        most = np.uint64(mask // (mask & -mask) if mask else 1)
        samples = (values & np.uint64(mask)) // np.uint64((mask & -mask) or 1)
        channels.append((samples * np.uint64(255) // most).astype(np.uint8))  # as Pillow, rounded down
    pixels: Pixels = np.stack(channels, axis=2)
    return pixels[::-1] if height > 0 else pixels


def _open_jpeg(start: bytes, stream: IO[bytes]) -> DeepImage | None:
    import imagecodecs

    offset, orientation = 2, 1
    while offset + 10 <= len(start) and start[offset] == 0xFF:
        marker, size = start[offset + 1], struct.unpack_from(">H", start, offset + 2)[0]
        if marker == 0xE1 and start[offset + 4 :].startswith(PREFIX):
            orientation = read_orientation(start[offset + 4 : offset + 2 + size])
        if marker in _START_OF_FRAME:
            bits, height, width, channels = struct.unpack_from(">BHHB", start, offset + 4)
            if bits != 12 or channels not in (1, 3) or marker not in (0xC0, 0xC1, 0xC2) or not height * width:
                return None
            return DeepImage(
                height=height,
                width=width,
                channels=channels,
                dtype=np.dtype(np.uint16),
                format="JPEG",
                load=_loader(stream, imagecodecs.jpeg8_decode, height, width, channels, np.uint16),
                bits=12,
                orientation=orientation,
            )
        offset += 2 + size
    return None


def _deep(
    image: Image.Image,
    stream: IO[bytes],
    decode: Callable[[bytes], Any],
    *,
    channels: int,
    alpha: bool = False,
    bits: int | None = None,
    dtype: Any = np.uint16,
    orientation: int | None = None,
    several: bool = False,
) -> DeepImage:
    if orientation is None:
        try:
            orientation = int(image.getexif().get(0x0112, 1))
        except Exception:  # a broken EXIF block must not cost the image
            orientation = 1
    return DeepImage(
        height=image.height,
        width=image.width,
        channels=channels,
        dtype=np.dtype(dtype),
        format=str(image.format),
        load=_loader(stream, decode, image.height, image.width, channels, dtype),
        alpha=alpha,
        bits=bits,
        orientation=orientation if orientation in range(1, 9) else 1,
        several=several,
    )


def _loader(
    stream: IO[bytes],
    decode: Callable[[bytes], Any],
    height: int,
    width: int,
    channels: int,
    dtype: Any,
) -> Callable[[], Pixels]:
    def load() -> Pixels:
        stream.seek(0)
        samples = np.asarray(decode(stream.read()))
        if samples.ndim == 2:
            samples = samples[..., None]
        if samples.shape[2] == 1 and channels == 3:  # monochrome
            samples = np.repeat(samples, 3, axis=2)
        if samples.shape != (height, width, channels) or samples.dtype != dtype:
            raise ValueError(f"pixels {samples.shape} {samples.dtype}, not those that its header promises")
        return np.ascontiguousarray(samples)

    return load


def _raw_mode(image: Image.Image) -> str:
    tile: Any = getattr(image, "tile", None)
    args = tile[0].args if tile else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _late_exif(stream: IO[bytes]) -> bytes | None:
    """The EXIF block of a PNG, which may stand behind the pixels."""
    stream.seek(0)
    return next((body for kind, body in read_chunks(stream, frozenset({b"eXIf"}))), None)
