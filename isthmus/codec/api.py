"""`isthmus.compress` and `isthmus.decompress`: pictures to bytes and back, in one call each."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from isthmus.codec import container
from isthmus.codec.container import MAX_PIXELS, CompressedFileError, Container
from isthmus.codec.facts import contents
from isthmus.codec.grid import Rectangle
from isthmus.codec.models import codec_for
from isthmus.codec.picture import Picture, picture
from isthmus.errors import UsageError
from isthmus.images.sample_range import Range
from isthmus.model.loading import ModelLike
from isthmus.threads import limited

if TYPE_CHECKING:
    from isthmus.codec.encoding import Encoded
    from isthmus.codec.ready import Codec

QUALITY = 50.0
Pixels = npt.NDArray[np.uint8]
Region = tuple[int, int, int, int]


@limited()
def compress(
    image: Any,
    *,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    model: ModelLike | None = None,
    preview: int | None = None,
    effort: int = 0,
    range: Range | None = None,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """One image as the bytes of a `.isth` file.

    Args:
        image: (H, W), or (H, W, C) with C 1 gray, 2 gray and alpha, 3 colour, 4 colour and alpha, or a tensor
            (1, C, H, W): uint8, or floats in [0, 1], which are rounded to 8 bits; or the path, the bytes or
            the open file of an image, or a Pillow image, whose colour profile and EXIF are kept (its
            orientation is applied).
        quality: 1 to 100; 50 unless `bpp` or `psnr` is given.
        bpp: at most so many bits of the file per pixel, or, where the picture has none so small, the
            smallest.
        psnr: at least so many dB (all channels together, alpha apart), or the most there is.
        model: a model trained with `--recipe codec`, its file, or the name of a shipped model; None for
            `photo-codec`. The same is needed to decompress.
        preview: put a small picture of at most so many pixels a side into the file, which is read without
            model.
        effort: 0 to 100: gradient steps that fit the code to this image. Smaller files at equal fidelity, for
            several times the time; decompressing stays as it is.
        range: the samples (low, high) that stand for black and white, where they are others.
        max_pixels: larger images are refused.

    Raises:
        UsageError: two of `quality`, `bpp` and `psnr`, or one out of range.
        DataError: not an image of 8 bits.
        CapabilityError: a model that cannot compress this.
        ModelFileError: no such model file, or a damaged one.
    """
    check_request(quality, bpp, psnr, preview, effort)
    return compressed(
        picture(image, range=range, max_pixels=max_pixels),
        codec_for(model),
        quality=quality,
        bpp=bpp,
        psnr=psnr,
        preview=preview,
        effort=effort,
    ).data


@limited()
def decompress(
    data: bytes | str | os.PathLike[str],
    *,
    model: ModelLike | None = None,
    region: Region | None = None,
    keep_going: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Pixels:
    """The image in the bytes, or in the file, that `compress` made.

    Args:
        data: the bytes, or the path of a `.isth` file.
        model: the one it was compressed with; None for the shipped one.
        region: (top, left, height, width) in pixels: only this part is decoded.
        keep_going: paint what is damaged from its surroundings instead of raising.
        max_pixels: larger images are refused from their header.

    Returns:
        uint8: (H, W) gray, (H, W, 2) with alpha, (H, W, 3) colour, (H, W, 4) with alpha.

    Raises:
        DataError: not such a file, damaged, or made with another model.
        UsageError: a region outside of the picture.
    """
    from isthmus.codec.decoding import decoded

    found = container.read(contents(data), max_pixels=max_pixels, keep_going=keep_going)
    area = None
    if region is not None:
        top, left, height, width = region
        area = Rectangle(top, left, top + height, left + width)
    return decoded(found, codec_for(model), region=area, keep_going=keep_going).picture.array()


def preview(data: bytes | str | os.PathLike[str]) -> Pixels | None:
    """The small picture in a file, as `decompress` gives it, without any model; None where it has none.

    Raises:
        DataError: not such a file, or damaged.
    """
    return preview_of(container.read(contents(data)))


def preview_of(found: Container) -> Pixels | None:
    """As `preview`, of a file already taken apart."""
    import io

    from PIL import Image

    from isthmus.images.limits import pillow_limits

    payload = found.chunks.get((container.PREVIEW, 0))
    if payload is None:
        return None
    try:
        with pillow_limits(2**20), Image.open(io.BytesIO(payload), formats=["WEBP"]) as image:
            if image.width * image.height > 2**20:
                raise ValueError("too large")
            return np.asarray(image.convert("RGBA" if image.mode == "RGBA" else "RGB"))
    except Exception:  # Pillow raises nearly every type on damaged files
        raise CompressedFileError("damaged: its preview cannot be decoded") from None


def compressed(
    image: Picture,
    codec: Codec,
    *,
    quality: float | None = None,
    bpp: float | None = None,
    psnr: float | None = None,
    preview: int | None = None,
    effort: int = 0,
) -> Encoded:
    """`compress` for a picture already read; the quality found comes with the bytes."""
    from isthmus.codec.encoding import encoded, latents_of
    from isthmus.codec.search import largest_within, least_reaching

    if bpp is None and psnr is None:
        asked = round(100 * (QUALITY if quality is None else quality))
        return encoded(image, codec, asked, preview=preview, effort=effort)
    # Refined latents belong to one quality; the encoder's own do for all.
    latents = None if effort else list(latents_of(image, codec))

    def make(hundredths: int) -> Encoded:
        return encoded(image, codec, hundredths, preview=preview, latents=latents, effort=effort)

    if bpp is not None:
        pixels = image.size[0] * image.size[1]
        return largest_within(make, lambda one: 8 * len(one.data) / pixels, bpp)
    assert psnr is not None
    return least_reaching(make, lambda one: fidelity(one.data, image, codec), psnr)


def fidelity(data: bytes, image: Picture, codec: Codec) -> float:
    """PSNR in dB of what is in a file against the picture it was made from, at most 100.

    The file is really decoded; its pieces are compared one by one, so that no second picture is held.

    Raises:
        CompressedFileError: it cannot be decoded.
    """
    from isthmus.codec.decoding import pieces

    total = 0
    for where, piece in pieces(container.read(data), codec):
        difference = piece.astype(np.int32) - image.pixels[where.slices]
        total += int((difference * difference).sum(dtype=np.int64))
    mean = total / image.pixels.size / 255**2
    return 100.0 if mean <= 1e-10 else -10 * math.log10(mean)


def check_request(
    quality: float | None,
    bpp: float | None,
    psnr: float | None,
    preview: int | None = None,
    effort: int | None = None,
) -> None:
    """Raises:
    UsageError: more than one of them, or one out of range.
    """
    asked = [
        name for name, value in (("quality", quality), ("bpp", bpp), ("psnr", psnr)) if value is not None
    ]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} cannot both be asked for; choose one")
    for name, value, low, high in (
        ("quality", quality, 1, 100),
        ("bpp", bpp, 0.001, 100),
        ("psnr", psnr, 5, 100),
        ("preview", preview, 16, 1024),
        ("effort", effort, 0, 100),
    ):
        if value is not None and not low <= value <= high:
            raise UsageError(f"{name} {value:g} is out of range: it runs from {low:g} to {high:g}")
