"""What a near duplicate may have gone through; the audit does it to some images to know its limits."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.store import Pixels

Distortion = Callable[[Pixels, np.random.Generator], Pixels]

EDGE = 0.05  # share of the height or width that may be cut off on each side
QUALITY = 50
BRIGHTNESS = 0.1
LARGEST = 256  # canvases are far smaller than this, so larger images are shrunk before they are distorted


def crop(image: Pixels, random: np.random.Generator) -> Pixels:
    """Up to 5 % cut off at each edge, resized back to the same size."""
    height, width = image.shape[:2]
    left, top, right, bottom = random.uniform(0, EDGE, 4)
    box = (left * width, top * height, width * (1 - right), height * (1 - bottom))
    return _back(_picture(image).resize((width, height), Image.Resampling.BILINEAR, box=box), image)


def jpeg(image: Pixels, random: np.random.Generator) -> Pixels:
    """JPEG of a quality from 50 to 95."""
    stream = io.BytesIO()
    _picture(image).save(stream, "JPEG", quality=int(random.integers(QUALITY, 96)))
    return _back(Image.open(stream), image)


def brightness(image: Pixels, random: np.random.Generator) -> Pixels:
    """Up to 10 % brighter or darker, clipped."""
    factor = random.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS)
    return np.asarray(np.clip(np.rint(image * factor), 0, 255), dtype=np.uint8)


def mirror(image: Pixels, random: np.random.Generator) -> Pixels:  # noqa: ARG001
    """Left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def together(image: Pixels, random: np.random.Generator) -> Pixels:
    """Cropped, made brighter or darker, and saved as JPEG."""
    return jpeg(brightness(crop(image, random), random), random)


KINDS: dict[str, Distortion] = {"crop": crop, "jpeg": jpeg, "brightness": brightness, "mirror": mirror}


def as_levels(image: Pixels) -> Pixels:
    """`(H, W, C)` of any type as uint8, 1 or 3 channels, at most 256 a side: what distortions take.

    Of more than 4 channels those that pictures show.
    """
    image = visible_bands(image) if image.shape[2] > 4 else image
    clipped = np.clip(image, 0, 1) if image.dtype == np.float32 else image
    levels = to_dtype(to_channels(clipped, _plain(image)), "u1")
    height, width = levels.shape[:2]
    factor = -(-max(height, width) // LARGEST)
    if factor == 1:
        return levels
    small = _picture(levels).reduce(factor)
    return np.asarray(small).reshape(small.height, small.width, levels.shape[2])


def _plain(image: Pixels) -> int:
    return 3 if image.shape[2] > 2 else 1


def _picture(image: Pixels) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def _back(picture: Image.Image, like: Pixels) -> Pixels:
    return np.asarray(picture).reshape(like.shape)
