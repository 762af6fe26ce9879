"""What a Pillow mode means in pixels: palettes, CMYK, CIELAB, 16 and 32 bits, transparency; orientation."""

from __future__ import annotations

from typing import IO, Literal

import numpy as np
from PIL import Image, ImageCms

from isthmus.images.png_chunks import read_chunks
from isthmus.images.sample_range import UNIT, Range, UnreadablePixelsError, range_hint, to_samples
from isthmus.images.store import Pixels

Alpha = Literal["composite", "keep"]
ORIENTATION_TAG = 0x0112


def is_transparent(image: Image.Image) -> bool:
    """Whether the header states an alpha channel or a transparent colour; pixels are not read."""
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info


def colour_channels(image: Image.Image) -> int:
    """1 for gray and for palettes of grays, else 3; pixels are not read."""
    if image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I"):
        return 1
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return 1 if len(palette) and (palette == palette[:, :1]).all() else 3
    return 3


def sample_type(image: Image.Image) -> np.dtype[np.uint8] | np.dtype[np.uint16] | np.dtype[np.float32]:
    """The type `pixels_of` gives; pixels are not read."""
    if image.mode == "F":
        return np.dtype(np.float32)
    return np.dtype(np.uint16) if image.mode.startswith("I") else np.dtype(np.uint8)


class _HighBytes(tuple[int, ...]):
    """A transparent colour of 16 bits that was reduced to 8 bits already."""


def scale_key(image: Image.Image, stream: IO[bytes] | None = None) -> None:
    """Reduce the transparent colour of a PNG to the 8 bits of its pixels, before they are loaded.

    It has 16 bits, of which those beyond the depth of the samples do not count (PNG, third edition, section
    11.3.2.1). Pillow takes them all, and does not scale those of 1, 2 and 4 bits.

    Args:
        stream: the open file; for samples of 1 bit Pillow only reports whether any bit is set.
    """
    key = image.info.get("transparency")
    tile = getattr(image, "tile", None)
    if image.format != "PNG" or not tile or not isinstance(key, (int, tuple)):
        return
    if image.mode == "RGB" and isinstance(key, tuple):
        high = str(tile[0][3]) == "RGB;16B" and not isinstance(key, _HighBytes)  # as Pillow reads the pixels
        levels = _HighBytes(level >> 8 for level in key) if high else type(key)(level & 255 for level in key)
        image.info["transparency"] = levels
    elif image.mode == "L" and isinstance(key, int):
        bits = {"L;2": 2, "L;4": 4}.get(str(tile[0][3]), 8)
        image.info["transparency"] = (key & (2**bits - 1)) * 255 // (2**bits - 1)
    elif image.mode == "1" and stream is not None:
        offset = stream.tell()
        stream.seek(0)
        body = next((body for _, body in read_chunks(stream, frozenset({b"tRNS"}))), b"\0")
        stream.seek(offset)
        image.info["transparency"] = 255 * (body[-1] & 1)


def raw_pixels_of(image: Image.Image, *, alpha: Alpha) -> Pixels:
    """As `pixels_of`, but wide integers and floats as they are, wherever they lie."""
    wide = image.mode == "F" or image.mode.startswith("I")
    return _channels_last(np.asarray(image)) if wide else pixels_of(image, alpha=alpha)


def pixels_of(
    image: Image.Image, *, alpha: Alpha, value_range: Range | None = None, bounds: Range = UNIT
) -> Pixels:
    """A loaded Pillow image as (H, W, C): uint8, uint16 for 16-bit gray, float32 in [0, 1] for float gray.

    C is 1 or 3, and one more when the image is transparent and `alpha` is "keep". With a `value_range`,
    the samples that stand for black and white, all are float32; alpha has its own.

    Raises:
        UnreadablePixelsError: NaN; integers above 65535 or below 0, or floats outside [0, 1], without a
            range; samples outside of the range.
    """
    if value_range is not None:
        return _mapped(image, alpha, value_range, bounds)
    if image.mode == "F":
        return to_samples(_channels_last(np.asarray(image, dtype=np.float32)), bounds=bounds)
    if image.mode.startswith("I"):
        return _wide_gray(image, alpha=alpha)
    colour, transparent = colour_channels(image), is_transparent(image)
    if image.mode == "LAB":
        image = _lab_to_srgb(image)
    if not transparent:
        mode = "L" if colour == 1 else "RGB"
        return _channels_last(np.asarray(image if image.mode == mode else image.convert(mode)))
    if image.mode == "La":
        image = image.convert("LA")  # the only way out of it that Pillow knows
    rgba = np.asarray(image.convert("RGBA"))
    pixels = rgba if colour == 3 else rgba[..., [0, 3]]
    return composite(pixels) if alpha == "composite" else np.ascontiguousarray(pixels)


def lab_to_rgb(samples: Pixels) -> Pixels:
    """(H, W, 3) uint8 of CIELAB, a* and b* from 128 on, as (H, W, 3) of sRGB."""
    image = Image.new("LAB", (samples.shape[1], samples.shape[0]))
    # Pillow's raw mode has signed a* and b*.
    image.frombytes(np.ascontiguousarray(samples ^ np.array([0, 128, 128], np.uint8)).tobytes())
    return np.asarray(_lab_to_srgb(image))


def _lab_to_srgb(image: Image.Image) -> Image.Image:
    profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    assert converted is not None  # None only with inPlace=True
    return converted


def composite(pixels: Pixels) -> Pixels:
    """Gray or colour with alpha last, (..., 2 or 4), laid on white: (..., 1 or 3) of the same type.

    Porter and Duff, "Compositing digital images" (1984): over, with straight (not premultiplied) alpha.
    """
    if pixels.dtype == np.float32:
        opacity = pixels[..., -1:]
        return np.asarray(pixels[..., :-1] * opacity + (1 - opacity), dtype=np.float32)
    top = int(np.iinfo(pixels.dtype).max)
    wide: Pixels = pixels.astype(np.uint64 if top > 255 else np.uint32)
    opacity = wide[..., -1:]
    laid = (wide[..., :-1] * opacity + top * (top - opacity) + top // 2) // top
    return np.ascontiguousarray(laid, dtype=pixels.dtype)


def _mapped(image: Image.Image, alpha: Alpha, value_range: Range, bounds: Range) -> Pixels:
    if image.mode == "F" or image.mode.startswith("I"):
        return to_samples(_channels_last(np.asarray(image)), value_range, bounds=bounds)
    pixels = pixels_of(image, alpha="keep")
    if not is_transparent(image):
        return to_samples(pixels, value_range)
    # Alpha is a share, independent of the range of the other samples.
    opacity = pixels[..., -1:].astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    with_opacity = np.concatenate([to_samples(pixels[..., :-1], value_range), opacity], axis=2)
    return composite(with_opacity) if alpha == "composite" else with_opacity


def _wide_gray(image: Image.Image, *, alpha: Alpha) -> Pixels:
    values = np.asarray(image)
    if values.dtype.itemsize > 2 and (values.min() < 0 or values.max() > 65535):
        raise UnreadablePixelsError(
            "{dtype} samples must lie in 0..65535, these in [{low}, {high}]",
            range_hint(int(values.min()), int(values.max()), is_integer=True),
            id="pixels.integer-range",
            dtype=values.dtype,
            low=int(values.min()),
            high=int(values.max()),
        )
    gray = _channels_last(values.astype(np.uint16))
    see_through = image.info.get("transparency")
    if not isinstance(see_through, int):
        return gray
    opacity = np.where(gray == see_through, 0, 65535).astype(np.uint16)
    with_opacity = np.concatenate([gray, opacity], axis=2)
    return composite(with_opacity) if alpha == "composite" else with_opacity


def _channels_last(values: Pixels) -> Pixels:
    return np.ascontiguousarray(values[:, :, None] if values.ndim == 2 else values)


def orientation_of(image: Image.Image) -> int:
    """Number of the EXIF orientation, 1 to 8; 1 where there is none."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # a broken EXIF block must not cost the image
        return 1


def turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels `(H, W, C)` with row 0, column 0 at the top left (EXIF 2.32, tag 0x0112)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
