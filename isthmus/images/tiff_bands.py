"""TIFF files whose layout Pillow does not read, or misreads: with tifffile and imagecodecs.

Pillow reads 8-bit gray, RGB, palettes, CMYK, YCbCr and CIELAB, interleaved. Everything else that TIFF 6.0 and
BigTIFF allow in one picture comes here: 1 to 64 samples a pixel in planes, in strips or tiles, of any sample
type and compression. Pages are channels if the description of the file states it: ImageJ by `channels=`,
tifffile by `{"shape": [C, H, W]}` or `{"shape": [H, W, C]}` in the description.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import IO, Any

import numpy as np
from PIL import Image

from isthmus.images.bands import MAX_CHANNELS
from isthmus.images.cache import memory_bytes
from isthmus.images.deep import DeepImage, straighten_alpha
from isthmus.images.ifd import DirectoryReader
from isthmus.images.modes import lab_to_rgb
from isthmus.images.sample_range import UnreadablePixelsError
from isthmus.images.store import Pixels

# Without any handler Python prints what tifffile logs about damaged files to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _DESCRIPTION, _EXTRA, _FORMAT = 258, 262, 277, 284, 270, 338, 339
_COLOURMAP, _BELOW = 320, 330
_SUBFILE, _ORIENTATION, _COMPRESSION, _DEPTH = 254, 274, 259, 32997
_NEEDING_LIBTIFF = frozenset({5, 8, 32773, 32946})
_BUILT_INTO_PILLOW = frozenset({1, 2, 3, 4, 6, 7, *_NEEDING_LIBTIFF})
_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB, _ICCLAB = 0, 2, 3, 5, 6, 8, 9
_LABS = (_LAB, _ICCLAB)
_GRAY_OR_RGB = (0, 1, 2)
_ASSOCIATED, _UNASSOCIATED = 1, 2
_REDUCED_OR_MASK = 0b101  # of NewSubfileType: no picture of its own
_MAX_DESCRIPTION = 2**16  # characters; what is longer describes no shape
# Bytes at most out of each compressed one: RFC 1951 for deflate, 2 codes of 12 bits for 4,096 bytes for LZW.
_MOST_BYTES = {1: 1, 5: 2800, 8: 1032, 32946: 1032, 32773: 128}
_IN_PLANES = 2
_JPEG = 7


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins like this is a TIFF."""
    return start[:4] in _MAGIC


def suits_pillow(image: Image.Image, *, bands: bool) -> bool:
    """Whether Pillow reads a TIFF that it has opened completely and correctly.

    Args:
        bands: pages may be channels.
    """
    tags: Any = getattr(image, "tag_v2", {})
    photometric, samples = tags.get(_PHOTOMETRIC), tags.get(_SAMPLES, 1)
    bits = tags.get(_BITS, (1,))
    compression = tags.get(_COMPRESSION, 1)
    if tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK and _BELOW in tags:
        return False  # the picture may lie below its small copy
    if compression not in _BUILT_INTO_PILLOW or tags.get(_DEPTH, 1) != 1:
        return False
    if photometric == _YCBCR:
        return True
    if compression in _NEEDING_LIBTIFF and photometric != _PALETTE:
        return False  # libtiff prints messages about damaged files
    if photometric == _PALETTE:
        return bool(samples == 1 and max(bits) <= 8 and len(tags.get(_COLOURMAP, ())) == 3 * 2 ** max(bits))
    are_integers = {1} >= set(tags.get(_FORMAT, (1,)))
    if not are_integers or tags.get(_PLANES, 1) != 1 or set(bits) != {8}:
        return bool(are_integers and samples == 1 and bits == (1,) and photometric in (0, 1))
    if photometric == _CMYK:
        return bool(samples == 4)
    if photometric == _LAB:
        return bool(samples == 3)
    if samples == 1:
        description = str(tags.get(_DESCRIPTION, ""))
        return not bands or _pages_of_channels(description, image.height, image.width) is None
    if photometric != _RGB or samples > 4:
        return False
    return bool(samples == 3 or tuple(tags.get(_EXTRA, ())) in ((_ASSOCIATED,), (_UNASSOCIATED,)))


def find_pictures(stream: IO[bytes]) -> list[int]:
    """The places in the chain of pages of those that are pictures: no masks, no smaller copies; the first
    where there are none.
    """
    kinds = _page_kinds(stream)
    return [place for place, kind in enumerate(kinds) if not kind & _REDUCED_OR_MASK] or [0]


def count_copies(stream: IO[bytes]) -> int:
    """Pages that are no pictures of their own, in the chain and below its pages."""
    return len(_page_kinds(stream)) - len(find_pictures(stream)) + _count_below(stream)


def _count_below(stream: IO[bytes]) -> int:
    try:
        chain = DirectoryReader.open(stream).chain(only=frozenset({_BELOW}))
        return sum(page.entries[_BELOW].count for page in chain if _BELOW in page.entries)
    except ValueError:
        return 0
    finally:
        stream.seek(0)


def _page_kinds(stream: IO[bytes]) -> list[int]:
    offset = stream.tell()
    try:
        chain = DirectoryReader.open(stream).chain(only=frozenset({_SUBFILE}))
        return [page.number(_SUBFILE) for page in chain] or [0]
    except ValueError:
        return [0]
    finally:
        stream.seek(offset)


def open_bands(stream: IO[bytes], max_pixels: int, index: int = 0, *, bands: bool = True) -> DeepImage:
    """One page of a TIFF file, from its header.

    Args:
        bands: pages may be channels, and there may be others than gray, colour and alpha.
        index: its place in the chain of pages.

    Raises:
        UnreadablePixelsError: more than 64 channels, volumes, samples or colours that are not read, or not in
            one piece.
        Image.DecompressionBombError: more than `max_pixels`.
        Exception: any error of tifffile on a damaged file.
    """
    from tifffile import TiffFile

    pictures = len(find_pictures(stream))
    stream.seek(0, io.SEEK_END)
    length = stream.tell()
    stream.seek(0)
    file = TiffFile(stream, name="image.tif", _multifile=False)
    page: Any = file.pages.first if index == 0 else file.pages[index]
    if int(page.subfiletype) & _REDUCED_OR_MASK and page.subifds:  # the picture lies below its small copy
        page = next((below for below in page.pages if not int(below.subfiletype) & _REDUCED_OR_MASK), page)
    photometric = int(page.photometric)
    if photometric == _YCBCR and int(page.compression) == _JPEG:
        photometric = _RGB  # tifffile converts it
    bands_read = None
    if bands and page.samplesperpixel == 1 and index == 0 and photometric in _GRAY_OR_RGB:
        bands_read = _pages_of_channels(page.description, page.imagelength, page.imagewidth)
        if bands_read is not None and bands_read[0] > len(file.pages):
            raise UnreadablePixelsError(
                "its description promises pages that are not there", id="pixels.pages"
            )
    count, first = bands_read or (1, page.planarconfig == _IN_PLANES and page.samplesperpixel > 1)
    _check_kind(page, photometric)
    height, width, channels = page.imagelength, page.imagewidth, page.samplesperpixel
    if bands_read is not None and first:
        channels = count
    elif bands_read is not None:
        height, width, channels = count, page.imagelength, page.imagewidth
    if height * width > max_pixels:
        raise Image.DecompressionBombError
    if channels > MAX_CHANNELS:
        raise UnreadablePixelsError(
            "has {channels} channels; images have 1 to {most}",
            id="pixels.channels",
            channels=channels,
            most=MAX_CHANNELS,
        )
    if page.dtype is None or height * width * channels * page.dtype.itemsize > memory_bytes():
        raise UnreadablePixelsError(
            "promises more pixels than fit into memory, or samples of no known type",
            id="pixels.promises-too-much",
        )
    pages = (page,) if count == 1 else tuple(file.pages[index + place] for place in range(count))
    for single in pages:
        _check_page(single, page, length)
    alpha = _alpha_kind(page, channels, photometric)
    convert, stored = _COLOURS.get(photometric), channels
    if not bands and channels - (alpha is not None) not in (1, 3) and convert is None:
        raise UnreadablePixelsError(
            "has {channels} channels; gray and colour images are read here",
            id="pixels.channels-not-colour",
            channels=channels,
        )

    def load() -> Pixels:
        parts = [_decode_page(single) for single in pages]
        stacked = parts[0] if len(parts) == 1 else np.stack(parts)
        stacked = np.moveaxis(stacked, 0, -1) if first else stacked
        samples = np.ascontiguousarray(stacked.reshape(height, width, stored), dtype=_native(page.dtype))
        if alpha == _ASSOCIATED and photometric != _PALETTE:
            samples = straighten_alpha(samples)
        if convert is None:
            return samples
        colour, opacity = (
            (samples, samples[..., :0]) if alpha is None else (samples[..., :-1], samples[..., -1:])
        )
        converted = convert(colour, page)
        opacity = _fit_levels(opacity, page.bitspersample, converted.dtype)
        joined = np.concatenate([converted, opacity], axis=2)
        # Numbers of colours are not multiplied by alpha; the colours are.
        return straighten_alpha(joined) if alpha == _ASSOCIATED and photometric == _PALETTE else joined

    bits = page.bitspersample if isinstance(page.bitspersample, int) else max(page.bitspersample)
    dtype = _native(page.dtype)
    orientation = page.tags.valueof(_ORIENTATION, 1)
    if convert is not None:
        is_deep = bits > 8
        channels = (1 if photometric == _PALETTE and _is_gray(page) else 3) + (alpha is not None)
        dtype = np.dtype(np.uint16 if is_deep and photometric == _PALETTE else np.uint8)
    return DeepImage(
        height=height,
        width=width,
        channels=channels,
        dtype=np.dtype(np.uint8) if dtype.kind == "b" else dtype,
        format="TIFF",
        load=load,
        alpha=alpha is not None,
        bits=None if convert is not None or bits >= 8 * dtype.itemsize else bits,
        white_is_zero=photometric == _WHITE_IS_ZERO,
        orientation=orientation if bands_read is None and orientation in range(1, 9) else 1,
        several=pictures > count,
        paged=len(pages) > 1,
        narrowed=convert is not None and photometric != _PALETTE and is_deep,
    )


def _check_kind(page: Any, photometric: int) -> None:
    if page.imagedepth != 1:
        raise UnreadablePixelsError("holds a volume; images of two axes are read", id="pixels.volume")
    extra = tuple(int(kind) for kind in page.extrasamples)
    colours = {_PALETTE: 1, _CMYK: 4, **dict.fromkeys(_LABS, 3)}.get(photometric)
    bits, kinds = page.bitspersample, "ui" if photometric in _LABS else "u"
    is_whole = page.dtype is not None and page.dtype.kind in kinds
    has_bits = bits in (8, 16) or (photometric == _PALETTE and isinstance(bits, int) and bits <= 16)
    is_known = colours == page.samplesperpixel - len(extra) and extra in (
        (),
        (_ASSOCIATED,),
        (_UNASSOCIATED,),
    )
    has_colours = photometric != _PALETTE or _has_colours(page, bits)
    # Around which zero a* and b* would have been multiplied by alpha, no standard says.
    is_straight = photometric not in _LABS or extra != (_ASSOCIATED,)
    if photometric in _GRAY_OR_RGB or (is_whole and has_bits and is_known and has_colours and is_straight):
        return
    raise UnreadablePixelsError(
        "has colours of a kind that is not read in this layout ({photometric}, {bits} bits)",
        id="pixels.photometric",
        photometric=getattr(page.photometric, "name", photometric),
        bits=page.bitspersample,
    )


def _has_colours(page: Any, bits: int) -> bool:
    tag = page.tags.get(_COLOURMAP)
    return tag is not None and tag.count == 3 * 2**bits and page.colormap.shape == (3, 2**bits)


def _decode_page(page: Any) -> Pixels:
    try:
        samples: Pixels = page.asarray(maxworkers=1)
    except (ValueError, KeyError, NotImplementedError, AttributeError) as error:
        text = str(error)
        if "imagecodecs" in text or "not supported" in text or "not implemented" in text:
            raise UnreadablePixelsError(
                "compressed with {compression}, which is not read here ({reason})",
                id="pixels.compression",
                compression=str(getattr(page.compression, "name", page.compression)),
                reason=" ".join(text.split()),
            ) from None
        raise
    return samples


def _native(dtype: Any) -> np.dtype[Any]:
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _alpha_kind(page: Any, channels: int, photometric: int) -> int | None:
    """Whether the last of 2 or 4 channels, or of inks and other colours, is alpha, and which."""
    extra = tuple(int(kind) for kind in page.extrasamples)
    if (
        page.samplesperpixel != channels
        or len(extra) != 1
        or not (channels in (2, 4) or photometric in _COLOURS)
    ):
        return None
    return extra[0] if extra[0] in (_ASSOCIATED, _UNASSOCIATED) else None


def _from_cmyk(samples: Pixels, _page: Any) -> Pixels:
    """(H, W, 4) of 8 or 16 bits as Pillow converts it, (H, W, 3) of 8 bits."""
    eight = samples if samples.dtype == np.uint8 else (samples >> 8).astype(np.uint8)
    return np.asarray(Image.fromarray(eight, "CMYK").convert("RGB"))


def _from_lab(samples: Pixels, page: Any) -> Pixels:
    """(H, W, 3) of 8 or 16 bits, CIELAB or ICC's, as sRGB of 8 bits; a* and b* of CIELAB are signed."""
    is_signed = int(page.photometric) == _LAB
    bits = 8 * samples.dtype.itemsize
    levels = samples.view(f"u{bits // 8}").astype(np.uint32)
    levels[..., 1:] ^= is_signed << (bits - 1)
    if bits == 16:
        # 100 is 65535 of CIELAB (TIFF 6.0, section 23) and 65280 of ICC's; a* and b* have 8 bits of fraction.
        most = 65535 if is_signed else 65280
        levels[..., :1] = (levels[..., :1].clip(0, most) * 255 + most // 2) // most
        levels[..., 1:] = (levels[..., 1:] + 128).clip(0, 65535) >> 8
    return lab_to_rgb(levels.astype(np.uint8))


def _from_palette(samples: Pixels, page: Any) -> Pixels:
    """(H, W, 1) numbers of colours as these, (H, W, 1 or 3), of 16 bits where there are more than 256."""
    colours = page.colormap
    if page.bitspersample <= 8:
        colours = (colours >> 8).astype(np.uint8)
    converted: Pixels = np.moveaxis(colours[: 1 if _is_gray(page) else 3], 0, -1)[samples[..., 0]]
    return converted


def _is_gray(page: Any) -> bool:
    colours = page.colormap >> (8 if page.bitspersample <= 8 else 0)
    return bool((colours == colours[:1]).all())


def _fit_levels(samples: Pixels, bits: int, dtype: np.dtype[Any]) -> Pixels:
    """Unsigned samples of so many bits scaled to another type."""
    top = int(np.iinfo(dtype).max)
    wide = samples.astype(np.uint64) * np.uint64(top) + np.uint64(2**bits // 2)
    return (wide // np.uint64(2**bits - 1)).astype(dtype)


_COLOURS: dict[int, Callable[[Pixels, Any], Pixels]] = {
    _PALETTE: _from_palette,
    _CMYK: _from_cmyk,
    **dict.fromkeys(_LABS, _from_lab),
}
"""How colours of other kinds than gray and RGB are converted."""


def _check_page(page: Any, first: Any, length: int) -> None:
    """Check that a page is in the file before memory is allocated for it."""
    if (page.shape, page.dtype) != (first.shape, first.dtype):
        raise UnreadablePixelsError("its pages have different sizes or samples", id="pixels.pages-differ")
    held = sum(page.databytecounts)
    ends = (offset + size for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True))
    if max(ends, default=0) > length or held <= 0:
        raise ValueError("pixels beyond the end of the file")
    most = _MOST_BYTES.get(int(page.compression))
    expected_bytes = page.nbytes if page.bitspersample in (8, 16, 32, 64) else page.nbytes // 16
    if most is not None and expected_bytes > held * most:
        raise ValueError(f"{expected_bytes} bytes of pixels are promised, {held} are there")


def _pages_of_channels(description: str, height: int, width: int) -> tuple[int, bool] | None:
    """How many pages hold one picture, and whether each holds one channel; None where pages are pictures."""
    if len(description) > _MAX_DESCRIPTION:
        return None
    if description.startswith("ImageJ="):
        count = _imagej_channels(description)
        return (count, True) if count > 1 else None
    shape = _described_shape(description)
    if shape is None or len(shape) != 3:
        return None
    if shape[1:] != [height, width]:
        return None
    if 2 <= shape[2] <= MAX_CHANNELS and shape[2] < min(shape[:2]):
        return (shape[0], False)  # (H, W, C): a page is one row of all channels
    return (shape[0], True) if 2 <= shape[0] <= MAX_CHANNELS else None


def _imagej_channels(description: str) -> int:
    facts = {key: int(value) for key, value in re.findall(r"^(\w+)=(\d{1,6})$", description, re.MULTILINE)}
    if facts.get("slices", 1) > 1 or facts.get("frames", 1) > 1:
        return 1
    return min(facts.get("channels", 1), MAX_CHANNELS + 1)


def _described_shape(description: str) -> Sequence[int] | None:
    if not description.startswith('{"shape": ['):
        return None
    try:
        shape = json.loads(description)["shape"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_shape = isinstance(shape, list) and all(isinstance(side, int) and side > 0 for side in shape)
    return shape if is_shape and math.prod(shape) < 2**48 else None
