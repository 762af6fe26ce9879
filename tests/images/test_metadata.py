"""What a file holds beside its pixels: kept as bytes, written where the format holds it, named where not."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from isthmus.images.exif import PREFIX, clean_block, read_orientation
from isthmus.images.formats import decode
from isthmus.images.metadata import Metadata, lost_parts, read_metadata
from isthmus.images.png_chunks import insert_chunks, pack_chunks, read_chunks
from isthmus.images.write import save_image

from .files import photo, save

NAME = "Jürgen ©".encode() + b"\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="t"/></x:xmpmeta>'


def exif_block(entries: list[tuple[int, int, int, bytes]], order: str = "<") -> bytes:
    """One directory of entries (tag, type, count, bytes)."""
    start = 8 + 2 + 12 * len(entries) + 4
    table, values = b"", b""
    for tag, kind, count, data in entries:
        table += struct.pack(order + "HHI", tag, kind, count)
        if len(data) <= 4:
            table += data.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", start + len(values))
            values += data
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "IH", 8, len(entries))
    return PREFIX + head + table + b"\0\0\0\0" + values


ODD = exif_block(
    [
        (0x010F, 2, 6, b"maker\0"),
        (0x0112, 2, 2, b"6\0"),  # an orientation that is text
        (0x8298, 2, len(NAME), NAME),
        (0x9000, 12, 1, struct.pack("<d", 0.5)),
    ]
)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_of_odd_types_and_letters_keeps_its_bytes(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a.{suffix}", photo(8, 12), exif=ODD)
    source = read_metadata(tmp_path / f"a.{suffix}")
    assert source.exif is not None and NAME in source.exif and struct.pack("<d", 0.5) in source.exif
    for target in ("jpg", "png", "webp", "avif", "tif"):
        save_image(tmp_path / f"b.{target}", decode(tmp_path / f"a.{suffix}"), metadata=source)
        again = read_metadata(tmp_path / f"b.{target}").exif
        assert again is not None and NAME in again and b"maker" in again
        assert read_orientation(again) == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_orientation_is_taken_out_and_nothing_else_moves(order: str) -> None:
    entries = [
        (0x010F, 2, 6, b"maker\0"),
        (0x0112, 3, 1, struct.pack(order + "H", 6)),
        (0x8298, 2, 9, b"c" * 9),
    ]
    block = exif_block(entries, order)
    assert read_orientation(block) == 6
    clean = clean_block(block)
    assert clean is not None and read_orientation(clean) == 1
    assert len(clean) == len(block) and clean.index(b"maker") == block.index(b"maker")
    assert clean_block(exif_block(entries[1:2], order)) is None


def test_the_thumbnail_is_not_kept() -> None:
    first = exif_block([(0x010F, 2, 4, b"abc\0")])[len(PREFIX) :]
    following = len(first)
    first = first[: 8 + 2 + 12] + struct.pack("<I", following) + first[8 + 2 + 12 + 4 :]
    small = struct.pack("<H", 2) + struct.pack("<HHIIHHII", 0x0201, 4, 1, following + 30, 0x0202, 4, 1, 9)
    block = PREFIX + first + small + b"\0\0\0\0" + b"THUMBNAIL"
    clean = clean_block(block)
    assert clean is not None and b"THUMBNAIL" not in clean and b"abc" in clean


def test_a_big_tiff_gives_classic_entries(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 11, 3)).astype(np.uint16)
    extra: list[Any] = [
        (271, 2, 6, "maker", True),
        (33432, 1, len(NAME), NAME, True),
        (700, 1, len(XMP), XMP, True),
    ]
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="rgb",
        bigtiff=True,
        extratags=extra,
        resolution=(300, 150),
        resolutionunit="INCH",
        metadata=None,
    )
    source = read_metadata(tmp_path / "a.tif")
    assert source.dpi == (300, 150)
    assert source.xmp is not None and b"Orientation" not in source.xmp and b'dc:title="t"' in source.xmp
    for suffix in ("tif", "png"):
        save_image(tmp_path / f"b.{suffix}", pixels, metadata=source)
        assert np.array_equal(decode(tmp_path / f"b.{suffix}"), pixels)
        again = read_metadata(tmp_path / f"b.{suffix}")
        assert again.exif is not None and b"maker" in again.exif and NAME in again.exif
        assert again.dpi == pytest.approx((300, 150), abs=0.02)
        assert again.xmp == source.xmp and again.texts == ()
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages.first.tags["Make"].value == "maker"


def test_texts_and_colour_space_of_a_png_are_kept_or_named(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "a title")
    texts.add_itxt("Author", "Jürgen", zip=True)
    texts.add(b"gAMA", struct.pack(">I", 100000))
    texts.add(b"cICP", bytes([9, 16, 0, 1]))
    Image.fromarray(photo(8, 9)).save(tmp_path / "a.png", pnginfo=texts, dpi=(144, 144))
    source = read_metadata(tmp_path / "a.png")
    save_image(tmp_path / "b.png", photo(8, 9), metadata=source)
    with Image.open(tmp_path / "b.png") as image:
        assert image.text == {"Title": "a title", "Author": "Jürgen"}  # type: ignore[attr-defined]
        assert image.info["gamma"] == 1
        assert image.info["dpi"] == pytest.approx((144, 144), abs=0.01)
    assert b"cICP" in (tmp_path / "b.png").read_bytes()
    assert lost_parts("PNG", source) == ()
    assert lost_parts("JPEG", source) == ("texts", "the colour space")
    assert "the resolution" in lost_parts("WEBP", source)


def test_a_profile_of_inks_does_not_stay_with_colours(tmp_path: Path) -> None:
    profile = bytes(16) + b"CMYK" + bytes(200)
    Image.new("CMYK", (4, 4)).save(tmp_path / "a.jpg", icc_profile=profile)
    source = read_metadata(tmp_path / "a.jpg")
    assert source.icc is None
    assert lost_parts("PNG", source) == ("the colour profile", "CMYK inks, converted to RGB")


def test_exif_that_is_too_long_for_a_jpeg_does_not_cost_the_image(tmp_path: Path) -> None:
    long = Metadata(exif=exif_block([(0x010F, 2, 70_000, b"m" * 70_000)]))
    save_image(tmp_path / "a.jpg", photo(8, 8), metadata=long)
    assert read_metadata(tmp_path / "a.jpg").exif is None
    assert lost_parts("JPEG", long) == ("EXIF",)
    save_image(tmp_path / "a.png", photo(8, 8), metadata=long)
    assert read_metadata(tmp_path / "a.png").exif == long.exif


def test_broken_metadata_does_not_cost_the_image(tmp_path: Path) -> None:
    for block in (PREFIX + b"II*\0", PREFIX + b"junk", PREFIX + b"II*\0\xff\xff\xff\xff", PREFIX):
        packed = io.BytesIO()
        Image.fromarray(photo(8, 8)).save(packed, "JPEG", exif=block)
        (tmp_path / "a.jpg").write_bytes(packed.getvalue())
        read_metadata(tmp_path / "a.jpg")
        assert decode(tmp_path / "a.jpg").shape == (8, 8, 3)


def png(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return insert_chunks(stream.getvalue(), list(chunks))


def test_chunks_that_remain_true_are_kept_and_the_others_named(tmp_path: Path) -> None:
    chunks = [
        (b"pHYs", struct.pack(">IIB", 3, 4, 0)),
        (b"bKGD", struct.pack(">3H", 1, 2, 255)),
        (b"sBIT", b"\5\6\5"),
        (b"tIME", b"\7\xe8\1\1\0\0\0"),
        (b"oFFs", struct.pack(">iiB", 5, 6, 0)),
    ]
    (tmp_path / "a.png").write_bytes(png(photo(8, 12), *chunks))
    metadata_read = read_metadata(tmp_path / "a.png")
    assert (metadata_read.aspect, metadata_read.background) == ((3, 4), (257, 514, 65535))
    assert metadata_read.dropped == ("the chunks sBIT, tIME, oFFs",)
    save_image(tmp_path / "b.png", photo(8, 12), metadata=metadata_read)
    assert {chunks[0], chunks[1]} <= set(read_chunks(io.BytesIO((tmp_path / "b.png").read_bytes())))
    save_image(tmp_path / "deep.png", np.zeros((8, 12, 4), np.uint16), metadata=metadata_read)
    written = dict(read_chunks(io.BytesIO((tmp_path / "deep.png").read_bytes())))
    assert written[b"bKGD"] == struct.pack(">3H", 257, 514, 65535)
    for suffix, kind in ((".jpg", "JPEG"), (".tif", "TIFF")):
        save_image(tmp_path / f"b{suffix}", photo(8, 12), metadata=metadata_read)
        assert read_metadata(tmp_path / f"b{suffix}").aspect == (3, 4)
        assert lost_parts(kind, metadata_read) == ("the chunks sBIT, tIME, oFFs", "the background colour")
    assert "the shape of pixels" in lost_parts("WEBP", metadata_read)


@pytest.mark.parametrize(
    ("mode", "body", "right"),
    [
        ("L", struct.pack(">H", 51), (13107,) * 3),
        ("1", struct.pack(">H", 1), (65535,) * 3),
        ("P", b"\1", (1 * 257, 2 * 257, 3 * 257)),
    ],
)
def test_backgrounds_of_grays_and_palettes(
    mode: str, body: bytes, right: tuple[int, ...], tmp_path: Path
) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P" if mode == "P" else "L").convert(mode)
    if mode == "P":
        image.putpalette([9, 9, 9, 1, 2, 3])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    content = stream.getvalue()
    if mode == "P":
        end = content.index(b"IDAT") - 4
        content = content[:end] + pack_chunks([(b"bKGD", body)]) + content[end:]
    else:
        content = insert_chunks(content, [(b"bKGD", body)])
    (tmp_path / "a.png").write_bytes(content)
    assert read_metadata(tmp_path / "a.png").background == right


def test_no_resolution_is_made_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    Image.fromarray(photo(8, 12)).save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info.get("dpi") == (72, 72)  # Pillow's own
    metadata_read = read_metadata(tmp_path / "a.jpg")
    assert metadata_read.dpi is None
    for suffix in ("png", "tif", "bmp", "dib", "jpg"):
        save_image(tmp_path / f"b.{suffix}", photo(8, 12), metadata=metadata_read)
        again = read_metadata(tmp_path / f"b.{suffix}")
        assert (again.dpi, again.aspect) == (None, None)
    exif[0x011A], exif[0x011B], exif[0x0128], exif[0x0112] = 300.0, 150.0, 2, 6
    Image.fromarray(photo(8, 12)).save(tmp_path / "c.jpg", exif=exif)
    assert read_metadata(tmp_path / "c.jpg").dpi == (150, 300)  # of pixels that were turned
    Image.fromarray(photo(8, 12)).save(tmp_path / "d.jpg", dpi=(200, 100))
    assert read_metadata(tmp_path / "d.jpg").dpi == (200, 100)


def test_converted_colours_are_named(tmp_path: Path) -> None:
    colours = Image.fromarray(photo(8, 12))
    for suffix in ("jpg", "tif"):
        colours.convert("CMYK").save(tmp_path / f"a.{suffix}")
        assert read_metadata(tmp_path / f"a.{suffix}").dropped == ("CMYK inks, converted to RGB",)
    colours.convert("LAB").save(tmp_path / "b.tif")
    assert "CIELAB colours, converted to sRGB" in read_metadata(tmp_path / "b.tif").dropped


@pytest.mark.parametrize("bits", [0, 8, 16])
def test_a_second_header_of_a_png_says_nothing_of_its_background(bits: int, tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo(8, 12, 1)[..., 0]).save(stream, "PNG")
    content = stream.getvalue()
    end = content.index(b"IEND") - 4
    header = struct.pack(">IIBBBBB", 12, 8, bits, 0, 0, 0, 0)
    odd = pack_chunks([(b"IHDR", header), (b"bKGD", struct.pack(">H", 51))])
    (tmp_path / "a.png").write_bytes(content[:end] + odd + content[end:])
    assert read_metadata(tmp_path / "a.png").background == (13107,) * 3


def test_a_coloured_background_of_grays_is_weighed(tmp_path: Path) -> None:
    colour = np.array([[[200, 10, 90]]], np.uint8)
    background = tuple(int(level) * 257 for level in colour[0, 0])
    save_image(
        tmp_path / "a.png",
        photo(8, 12, 1),
        metadata=Metadata(background=(background[0], background[1], background[2])),
    )
    content = (tmp_path / "a.png").read_bytes()
    body = dict(read_chunks(io.BytesIO(content)))[b"bKGD"]
    assert struct.unpack(">H", body) == (int(np.asarray(Image.fromarray(colour).convert("L"))[0, 0]),)


def test_a_tiff_without_pages_has_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0" + bytes(300_000))
    assert read_metadata(tmp_path / "a.tif") == Metadata()
