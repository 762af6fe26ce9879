"""One file to another: an image into a compressed file, and a compressed file into an image."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isthmus.atomic import write_bytes
from isthmus.codec import container
from isthmus.codec.api import Region, compressed, fidelity
from isthmus.codec.decoding import decoded, pieces
from isthmus.codec.facts import contents, named
from isthmus.codec.grid import Rectangle
from isthmus.codec.picture import picture
from isthmus.codec.ready import Codec
from isthmus.images.formats import probe
from isthmus.images.modes import composite
from isthmus.images.write import holds_alpha, save_image
from isthmus.threads import limited

LARGE = 16_000_000  # pixels: beyond, one picture at a time, or a few threads would take all memory
_large = threading.Lock()


@dataclass(frozen=True)
class Compressed:
    """A file that was written. `psnr` in dB is None where it was not measured; sizes are in bytes."""

    source: str
    file: str
    original_bytes: int
    bytes: int
    bpp: float
    quality: float
    psnr: float | None
    several: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key != "several"}


@dataclass(frozen=True)
class Restored:
    """An image that was written, and what of it was painted from its surroundings."""

    source: str
    file: str
    size: tuple[int, int]
    damage: tuple[str, ...]


@limited()
def compress_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    codec: Codec,
    *,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
    measure: bool = False,
    max_pixels: int = container.MAX_PIXELS,
    force: bool = True,
) -> Compressed:
    """An image file as a compressed file.

    Args:
        quality, bpp, psnr, preview, effort: as for `isthmus.compress`.
        measure: decode the finished bytes, which proves them, and measure the PSNR.

    Raises:
        DataError: not an image of 8 bits.
        CapabilityError: the model cannot compress it.
        OutputError: the file cannot be written.
    """
    promised = probe(Path(source), max_pixels=max_pixels)
    with _turn(promised.height * promised.width):
        image = picture(source, max_pixels=max_pixels)
        made = compressed(image, codec, quality=quality, bpp=bpp, psnr=psnr, preview=preview, effort=effort)
        found = fidelity(made.data, image, codec) if measure else None
    write_bytes(target, made.data, force=force)
    return Compressed(
        source=os.fspath(source),
        file=os.fspath(target),
        original_bytes=Path(source).stat().st_size,
        bytes=len(made.data),
        bpp=8 * len(made.data) / (image.size[0] * image.size[1]),
        quality=made.quality / 100,
        psnr=found,
        several=image.several,
    )


@limited()
def decompress_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    codec: Codec,
    *,
    region: Region | None = None,
    keep_going: bool = False,
    max_pixels: int = container.MAX_PIXELS,
    force: bool = True,
) -> Restored:
    """A compressed file as an image file, of the format that the suffix of `target` names.

    Where that format holds no transparency, the image is laid on white.

    Args:
        region, keep_going: as for `isthmus.decompress`.

    Raises:
        CompressedFileError: not such a file, damaged, or made with another model; the message names it.
        OutputError: the image cannot be written, or its format cannot hold it.
    """

    def work() -> Restored:
        found = container.read(contents(source), max_pixels=max_pixels, keep_going=keep_going)
        area = None
        if region is not None:
            top, left, height, width = region
            area = Rectangle(top, left, top + height, left + width)
        with _turn(found.header.size[0] * found.header.size[1]):
            result = decoded(found, codec, region=area, keep_going=keep_going)
            shown = result.picture
            array = shown.array()
            if shown.alpha is not None and not holds_alpha(Path(target)):
                array = composite(array)
            save_image(Path(target), array, force=force, exif=shown.exif, icc=shown.icc)
        damage = tuple(str(one) for one in result.damage)
        return Restored(os.fspath(source), os.fspath(target), shown.size, damage)

    return named(source, work)


@limited()
def decode_whole(
    source: str | os.PathLike[str], codec: Codec, *, max_pixels: int = container.MAX_PIXELS
) -> None:
    """Decode every tile of a file, and throw the pixels away.

    Raises:
        CompressedFileError: not such a file, damaged, or made with another model; the message names it.
    """

    def work() -> None:
        for _ in pieces(container.read(contents(source), max_pixels=max_pixels), codec):
            pass

    named(source, work)


@contextmanager
def _turn(pixels: int) -> Iterator[None]:
    """Within: no other large picture is at work, if this is one."""
    if pixels <= LARGE:
        yield
        return
    with _large:
        yield
