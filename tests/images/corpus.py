"""Image files over mode × depth × layout × metadata, written by libraries, with the pixels that are right."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from hypothesis import strategies as st
from PIL import Image

Array = np.ndarray[Any, np.dtype[Any]]
TIFF_COMPRESSIONS = (None, "lzw", "zlib", "packbits", "zstd", "lzma")


@dataclass(frozen=True)
class Sample:
    """A file, and what reading it gives: (H, W, C) with alpha last, or None where it is refused."""

    name: str
    content: bytes
    expected: Array | None
    what: str
    pages: tuple[Array, ...] = ()


# Bits of a pixel, and the masks of red, green, blue and, with four, alpha.
BIT_FIELDS = [
    (16, (0xF800, 0x7E0, 0x1F)),
    (16, (0x7C00, 0x3E0, 0x1F)),
    (16, (0xF00, 0xF0, 0xF)),
    (32, (0x3FF00000, 0xFFC00, 0x3FF)),
    (32, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000)),
    (32, (0xF800, 0x7E0, 0x1F, 0xFF0000)),
    (32, (0xFF, 0xFF0000, 0xFF00)),
]


def _pixels(draw: Callable[..., Any], shape: tuple[int, ...], dtype: str, bits: int | None = None) -> Array:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype.startswith("float"):
        numbers: Array = random.random(shape).astype(dtype)
        return numbers
    low, high = (0, 2**bits - 1) if bits else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    flat = draw(st.booleans())
    values = random.integers(low, high, 1 if flat else shape, endpoint=True)
    samples: Array = np.broadcast_to(values, shape).astype(dtype)
    return samples


def scaled(values: Array, bits: int) -> Array:
    """Samples of `bits` bits scaled to the 8 or 16 bits of their type: the nearest level."""
    top = 255 if values.dtype == np.uint8 else 65535
    levels: Array = np.floor(values.astype(np.float64) * top / (2**bits - 1) + 0.5).astype(values.dtype)
    return levels


def turned(values: Array, orientation: int) -> Array:
    """As Pillow turns an image of this orientation."""
    steps = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    if orientation not in steps:
        return values
    places = np.arange(values.shape[0] * values.shape[1], dtype=np.int32).reshape(values.shape[:2])
    moved = np.asarray(Image.fromarray(places).transpose(steps[orientation]))
    pixels: Array = values.reshape(-1, values.shape[2])[moved]
    return pixels


@st.composite
def tiffs(draw: Callable[..., Any]) -> Sample:
    """Gray and colour TIFF of every sample type and layout."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    dtype = draw(
        st.sampled_from(
            [
                "uint8",
                "uint8",
                "uint16",
                "uint16",
                "uint16",
                "float16",
                "float32",
                "float64",
                "int8",
                "int16",
                "uint32",
                "bool",
            ]
        )
    )
    kind = draw(
        st.sampled_from(
            ["gray", "gray", "white", "rgb", "rgb", "gray-alpha", "rgb-alpha", "rgb-premultiplied"]
        )
    )
    if dtype == "bool":
        kind = draw(st.sampled_from(["gray", "white"]))
    channels = {"gray": 1, "white": 1, "rgb": 3, "gray-alpha": 2}.get(kind, 4)
    bits = (
        draw(st.sampled_from([None, 10, 12, 14])) if dtype == "uint16" and kind in ("gray", "rgb") else None
    )
    planar = channels > 1 and bits is None and draw(st.booleans())
    tiled = bits is None and dtype != "bool" and draw(st.booleans())
    compression = None if bits or dtype == "bool" else draw(st.sampled_from(TIFF_COMPRESSIONS))
    predictor = (
        compression in ("lzw", "zlib", "zstd", "lzma")
        and dtype in ("uint8", "uint16", "uint32")
        and draw(st.booleans())
    )
    orientation = draw(st.integers(1, 8))
    stored = _pixels(draw, (height, width, channels), dtype, 1 if dtype == "bool" else bits)
    if kind == "rgb-premultiplied" and not dtype.startswith("float"):
        stored = np.ascontiguousarray(stored)
        stored[..., :3] = np.minimum(stored[..., :3], stored[..., 3:])
    array = stored[..., 0] if channels == 1 else np.moveaxis(stored, 2, 0) if planar else stored
    options: dict[str, Any] = {
        "photometric": "rgb" if channels > 2 else "miniswhite" if kind == "white" else "minisblack"
    }
    if channels > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    if channels in (2, 4):
        options["extrasamples"] = ["assocalpha" if "pre" in kind else "unassalpha"]
    if tiled:
        options["tile"] = (16, draw(st.sampled_from([16, 32])))
    elif draw(st.booleans()):
        options["rowsperstrip"] = draw(st.integers(1, height))
    if bits:
        options["bitspersample"] = bits
    byteorder, big = draw(st.sampled_from("<>")), draw(st.booleans())
    pages = draw(st.sampled_from([1, 1, 1, 2, 3]))
    packed = io.BytesIO()
    with tifffile.TiffWriter(packed, byteorder=byteorder, bigtiff=big) as writer:
        for _ in range(pages):
            writer.write(
                np.ascontiguousarray(array),
                compression=compression,
                predictor=predictor or None,
                extratags=[(274, 3, 1, orientation, True)],
                metadata=None,
                contiguous=False,
                **options,
            )
    content = packed.getvalue()
    decoded = tifffile.imread(io.BytesIO(content), key=0)
    decoded = np.moveaxis(decoded, 0, -1) if planar else decoded
    what = (
        f"{dtype} {kind} {bits} {planar=} {tiled=} {compression} {predictor} {byteorder} {big} {orientation}"
    )
    right = _right_samples(decoded.reshape(height, width, channels), kind, bits)
    expected = None if right is None else turned(right, orientation)
    return Sample("a.tif", content, expected, what, () if expected is None else (expected,) * pages)


def _right_samples(decoded: Array, kind: str, bits: int | None) -> Array | None:
    """What an image of these samples, as tifffile reads them, looks like; None where they are no image."""
    if decoded.dtype == bool:
        decoded = decoded.astype(np.uint8) * np.uint8(255)
    if decoded.dtype.kind in "iu" and decoded.dtype not in (np.uint8, np.uint16):
        colour = decoded if kind in ("gray", "white", "rgb") else decoded[..., :-1]
        colour = ~colour if kind == "white" else colour
        if kind.endswith(("alpha", "premultiplied")) or colour.min() < 0 or colour.max() > 65535:
            return None
        return colour.astype(np.uint8 if decoded.dtype == np.int8 else np.uint16)
    if bits:
        decoded = scaled(decoded, bits)
    if kind == "white":
        decoded = 1 - decoded if decoded.dtype.kind == "f" else np.iinfo(decoded.dtype).max - decoded
    if kind == "rgb-premultiplied":
        alpha = decoded[..., 3:]
        if decoded.dtype.kind == "f":
            wide = decoded[..., :3].astype(np.float64)
            divided = np.minimum(wide / np.where(alpha > 0, alpha, 1), 1)
            colour = np.where(alpha > 0, divided, 0)
        else:
            top = int(np.iinfo(decoded.dtype).max)
            colour = np.where(
                alpha > 0, np.minimum(top, decoded[..., :3].astype(np.int64) * top // np.maximum(alpha, 1)), 0
            )
        decoded = np.concatenate([colour.astype(decoded.dtype), alpha], axis=2)
    return decoded.astype(np.float32) if decoded.dtype.kind == "f" else decoded


def png_bytes(rows: Array, colour: int, depth: int, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG of these samples (H, W, C), not interlaced, written after the standard alone."""
    packed = b""
    for row in rows:
        bits = "".join(format(int(value), f"0{depth}b") for value in row.ravel())
        bits += "0" * (-len(bits) % 8)
        packed += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    height, width = rows.shape[:2]
    head = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    parts = [head, *chunks, (b"IDAT", zlib.compress(packed)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


@st.composite
def pngs(draw: Callable[..., Any]) -> Sample:
    """PNG of every colour type and depth, with and without transparent colours."""
    colour = draw(st.sampled_from([0, 0, 2, 3, 4, 6]))
    depth = draw(st.sampled_from({0: [1, 2, 4, 8, 16], 3: [1, 2, 4, 8]}.get(colour, [8, 16])))
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rows = _pixels(draw, (height, width, channels), "uint16", depth)
    keyed = colour in (0, 2, 3) and draw(st.booleans())
    chunks: list[tuple[bytes, bytes]] = []
    if draw(st.booleans()):
        chunks.append((b"gAMA", struct.pack(">I", 45455)))
    palette = _pixels(draw, (2**depth if colour == 3 else 1, 3), "uint8")
    key = rows[0, 0]
    if colour == 3:
        chunks.append((b"PLTE", palette.tobytes()))
    if keyed:
        chunks.append(
            (b"tRNS", bytes([0, 128][: len(palette)]) if colour == 3 else struct.pack(f">{channels}H", *key))
        )
    orientation = draw(st.integers(1, 8))
    chunks.append((b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)))
    dtype = np.uint16 if depth == 16 else np.uint8
    indices = rows.astype(dtype)
    top = int(np.iinfo(dtype).max)
    if colour == 3:
        shown = palette[indices[..., 0]]
        if keyed:
            shares = np.full(len(palette), 255, np.uint8)
            shares[: len([0, 128][: len(palette)])] = [0, 128][: len(palette)]
            shown = np.dstack([shown, shares[indices[..., 0]]])
        if (palette == palette[:, :1]).all():
            shown = shown[..., [0, -1]] if keyed else shown[..., :1]
        indices = shown
    else:
        if depth < 8:
            indices = scaled(indices, depth)
        if keyed:
            hidden = (rows == key).all(axis=2)
            indices = np.dstack([indices, np.where(hidden, 0, top).astype(dtype)])
    content = png_bytes(rows, colour, depth, chunks)
    what = f"colour {colour} depth {depth} keyed {keyed} orientation {orientation}"
    return Sample("a.png", content, turned(indices, orientation), what)


@st.composite
def others(draw: Callable[..., Any]) -> Sample:
    """PNM, JPEG 2000, BMP of bit fields, WebP: lossless, of several depths."""
    kind = draw(st.sampled_from(["pgm", "ppm", "jp2", "bmp", "webp"]))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    if kind in ("pgm", "ppm"):
        most = draw(st.sampled_from([255, 256, 1023, 4095, 65535]))
        channels = 3 if kind == "ppm" else 1
        values = (_pixels(draw, (height, width, channels), "float64") * most).round().astype(np.uint16)
        head = b"P%d\n%d %d\n%d\n" % (6 if channels == 3 else 5, width, height, most)
        body = values.astype(">u2" if most > 255 else np.uint8).tobytes()
        if most == 255:
            return Sample(f"a.{kind}", head + body, values.astype(np.uint8), f"{kind} {most}")
        right = np.floor(values.astype(np.float64) * 65535 / most + 0.5).astype(np.uint16)
        return Sample(f"a.{kind}", head + body, right, f"{kind} {most}")
    if kind == "jp2":
        bits = draw(st.sampled_from([8, 10, 12, 16]))
        channels = draw(st.sampled_from([1, 3]))
        values = _pixels(draw, (height, width, channels), "uint16" if bits > 8 else "uint8", bits)
        content = imagecodecs.jpeg2k_encode(
            values if channels > 1 else values[..., 0],
            level=0,
            reversible=True,
            bitspersample=bits,
            codecformat="JP2",
        )
        return Sample("a.jp2", bytes(content), scaled(values, bits), f"{kind} {bits} {channels}")
    if kind == "webp":
        channels = draw(st.sampled_from([3, 4]))
        values = _pixels(draw, (height, width, channels), "uint8")
        packed = io.BytesIO()
        Image.fromarray(values).save(packed, "WEBP", lossless=True, exact=True)
        with Image.open(packed) as image:
            right = np.asarray(image)
        return Sample("a.webp", packed.getvalue(), right, f"{kind} {channels}")
    size, fields = draw(st.sampled_from(BIT_FIELDS))
    sample_bits = {16: 15 if fields[0] != 0xF800 else 16, 32: 32}[size]
    values = _pixels(draw, (height, width, 1), f"uint{size}", sample_bits)[..., 0]
    rows = b"".join(
        row.astype(f"<u{size // 8}").tobytes().ljust((size // 8 * width + 3) // 4 * 4, b"\0")
        for row in values[::-1]
    )
    head_bytes = 40 if len(fields) == 3 else 56
    numbers = (head_bytes, width, height, 1, size, 3, len(rows), 2835, 2835, 0, 0, *fields)
    head = struct.pack(f"<IiiHHIIiiII{len(fields)}I", *numbers)
    content = b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows
    parts = []
    for mask in fields:
        shift = (mask & -mask).bit_length() - 1
        parts.append((values & mask) >> shift)
    tops = [mask >> ((mask & -mask).bit_length() - 1) for mask in fields]
    levels = [part.astype(np.int64) * 255 // top for part, top in zip(parts, tops, strict=True)]
    return Sample("a.bmp", content, np.dstack(levels).astype(np.uint8), f"bmp {size} {fields[0]:x}")


def samples() -> st.SearchStrategy[Sample]:
    """Files of all kinds, TIFF most often."""
    return st.one_of(tiffs(), tiffs(), pngs(), pngs(), others())
