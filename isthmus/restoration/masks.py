"""Which pixels are missing: said by a picture, a colour, by transparency, or found as dead pixels.

Each gives `(H, W)` booleans, True where missing. Of a picture every value above 0 is missing, the faint rim
of a soft stroke as well; in a JPEG file, whose compression leaves traces on black, every value above 64.
Where the picture's alpha varies, as with strokes on a transparent layer, alpha is the mask, whatever its
colours are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, UsageError
from isthmus.images.content import hold_content
from isthmus.images.reading import names_set, read_image
from isthmus.images.sources import decode_source, is_jpeg, jpeg_chroma_steps

Mask = npt.NDArray[np.bool_]
JPEG_LEVEL = 64  # of 255: what JPEG leaves around strokes on black stays below
CHROMA_RIM_PX = 1  # in a JPEG that stores colour coarsely,
CHROMA_SMEAR_PX = 2  # and more for each halving of its resolution, in that direction
OUTLIER = 0.1  # of the whole range: how far a dead pixel stands outside of its neighbours, at least
DEVIATIONS = 6.0  # and in standard deviations of the noise around it


def from_picture(source: Any) -> Mask:
    """What a picture marks: a file's path, bytes or open file, a Pillow image, or one image of a set.

    Raises:
        DataError: unreadable; the error names the mask.
    """
    held = hold_content(source)
    try:
        if isinstance(held, (str, os.PathLike)) and names_set(held):
            return of_picture(read_image(held))
        return of_picture(decode_source(held, alpha="keep", raw=True), jpeg=is_jpeg(held))
    except DataError as error:  # its message would be taken for one about the image
        name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "of the call"
        reason = getattr(error, "reason", None) or error.message.without_prefix(f"{name}: ")
        raise DataError(
            "its mask {path}: {reason}", id="inpaint.mask-unreadable", path=name, reason=reason
        ) from error


def of_picture(pixels: npt.NDArray[Any], *, jpeg: bool = False) -> Mask:
    """As `from_picture`, of the picture `(H, W, C)`, whose second or fourth channel is alpha.

    Args:
        jpeg: the picture was a JPEG file.
    """
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1]
        if alpha.min() < alpha.max():
            return np.asarray(alpha > 0)
        pixels = pixels[..., :-1]
    return np.asarray((pixels > (JPEG_LEVEL if jpeg else 0)).any(2))


def grow(mask: Mask, rows: int, columns: int | None = None) -> Mask:
    """A mask `(H, W)` with all pixels that lie at most so many rows and columns from one of it.

    Args:
        rows: 0 leaves it as it is.
        columns: by default as many as rows.
    """
    columns = rows if columns is None else columns
    if not rows and not columns:
        return mask
    # Reaching further than the image is the image; a filter of that width would cost its square.
    sides = (2 * min(rows, mask.shape[0]) + 1, 2 * min(columns, mask.shape[1]) + 1)
    from scipy import ndimage  # slow to import, and most masks do not grow

    return np.asarray(ndimage.maximum_filter(mask, sides, mode="constant", cval=0), bool)


def jpeg_spread(source: str | Path, colour: tuple[int, int, int]) -> tuple[int, int]:
    """How many rows and columns beyond a drawn colour's pixels the file's JPEG compression carries it.

    Brightness keeps the resolution of the image, so that a gray stays where it was drawn. Colour is stored
    with half of it in most files (4:2:0), and spreads. (0, 0) for all else.
    """
    steps = jpeg_chroma_steps(source)
    if steps in (None, (1, 1)) or len(set(colour)) == 1:
        return 0, 0
    down, across = (CHROMA_RIM_PX + CHROMA_SMEAR_PX * (step.bit_length() - 1) for step in steps)
    return down, across


def parse_colour(text: str) -> tuple[int, int, int]:
    """`#ff00ff`, `ff00ff` or `255,0,255`.

    Raises:
        UsageError: anything else.
    """
    plain = text.strip().removeprefix("#")
    if re.fullmatch(r"[0-9a-fA-F]{6}", plain):
        return int(plain[:2], 16), int(plain[2:4], 16), int(plain[4:], 16)
    parts = [p.strip() for p in plain.split(",")]
    if len(parts) == 3 and all(p.isdecimal() and int(p) <= 255 for p in parts):
        return int(parts[0]), int(parts[1]), int(parts[2])
    raise UsageError(
        "'{text}' is not a colour: write it as #ff00ff or 255,0,255", id="inpaint.colour", text=text
    )


def of_colour(pixels: npt.NDArray[Any], colour: tuple[int, int, int], *, tolerance: int = 0) -> Mask:
    """Pixels `(H, W, C)` of this colour, given in 8 bits; each channel may differ by `tolerance`.

    Raises:
        DataError: the image is gray and the colour is not.
    """
    channels = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    if channels == 1 and len(set(colour)) > 1:
        raise DataError(
            "a gray image has no pixels of this colour: give a gray one, such as #ffffff",
            id="inpaint.gray-image",
        )
    scale = 1 / 255 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max // 255
    target = np.array(colour[:channels], dtype=np.float64) * scale
    mask: Mask = np.all(np.abs(pixels[..., :channels] - target) <= (tolerance + 1e-6) * scale, axis=-1)
    return mask


def of_alpha(pixels: npt.NDArray[Any]) -> Mask:
    """Pixels `(H, W, 2 or 4)` that are not wholly opaque.

    Raises:
        DataError: the image has no transparency.
    """
    if pixels.shape[2] not in (2, 4):
        raise DataError(
            "this image has no transparency that could mark what is missing", id="inpaint.no-transparency"
        )
    top = 1.0 if pixels.dtype.kind == "f" else np.iinfo(pixels.dtype).max
    mask: Mask = np.asarray(pixels[..., -1] < top)
    return mask


def dead_pixels(pixels: npt.NDArray[Any]) -> Mask:
    """Single pixels, or pairs, far brighter or darker than everything around: hot, dead, salt and pepper.

    A pixel is dead when in any channel it stands outside of what all but one of its eight neighbours span, by
    a tenth of the range and by six times the noise. Edges and lines stay; a star of one pixel does not.
    """
    top = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
    mask = np.zeros(pixels.shape[:2], bool)
    for channel in range(pixels.shape[2] - (pixels.shape[2] in (2, 4))):
        plane = pixels[..., channel].astype(np.float32) / top
        low, high = _span_of_neighbours(plane)
        # The median difference of neighbours is 0.954 σ under white noise.
        steps = np.abs(np.diff(plane, axis=1))
        noise = float(np.median(steps)) / 0.954 if steps.size else 0.0
        far = max(OUTLIER, DEVIATIONS * noise)
        mask |= (plane > high + far) | (plane < low - far)
    return mask


def _span_of_neighbours(plane: npt.NDArray[np.float32]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Second lowest and second highest of each pixel's eight neighbours, `(H, W)`; borders are mirrored."""
    height, width = plane.shape
    wide = np.pad(plane, 1, mode="reflect")
    around = (
        wide[row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
        if (row, column) != (1, 1)
    )
    lowest = highest = next(around)
    second_lowest, second_highest = np.full_like(plane, np.inf), np.full_like(plane, -np.inf)
    for values in around:
        second_lowest = np.minimum(second_lowest, np.maximum(lowest, values))
        second_highest = np.maximum(second_highest, np.minimum(highest, values))
        lowest, highest = np.minimum(lowest, values), np.maximum(highest, values)
    return second_lowest, second_highest
