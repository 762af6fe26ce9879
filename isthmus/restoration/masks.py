"""Which pixels are missing: marked by a picture, a colour or transparency, or found as dead pixels.

Each gives `(H, W)` booleans, True where missing. Of a picture every value above 0 is missing, the faint rim
of a soft stroke as well; in a JPEG file, or another whose compression leaves traces on black, every value
above 64. Where a part of the picture is transparent, as with strokes on a transparent layer, alpha is the
mask, whatever its colours are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.errors import DataError, UsageError
from isthmus.images.content import hold_content
from isthmus.images.opening import MAX_PIXELS
from isthmus.images.pages import open_pages
from isthmus.images.reading import names_set, read_image
from isthmus.images.sources import decode_source, jpeg_chroma_steps, lossy_parts
from isthmus.wording import format_count

Mask = npt.NDArray[np.bool_]
LOSSY_LEVEL = 64  # of 255: what JPEG leaves around strokes on black stays below
MIN_TRANSPARENT_SHARE = 0.01  # of a picture whose alpha is its mask: fewer such pixels are a flaw
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
    with _naming_mask(source):
        if isinstance(held, (str, os.PathLike)) and names_set(held):
            return of_picture(read_image(held))
        lossy = lossy_parts(held)
        return of_picture(decode_source(held, alpha="keep", raw=not any(lossy)), lossy)


def from_page(path: str | Path, index: int, count: int) -> Mask:
    """As `from_picture`, of the mask file of an image with pages or frames.

    Args:
        index: of the page that is filled, from 0.
        count: pages of the image; the mask has as many, or one for all.

    Raises:
        DataError: also where the mask has another number of pages.
    """
    if names_set(path):
        return from_picture(path)
    lossy = lossy_parts(path)
    with _naming_mask(path), open_pages(path, max_pixels=MAX_PIXELS, raw=not any(lossy)) as pages:
        if pages.count not in (1, count):
            raise DataError(
                "{path}: it has {pages}, and the image {count}",
                id="inpaint.mask-pages",
                path=os.fspath(path),
                pages=format_count(pages.count, "page"),
                count=count,
            )
        return of_picture(pages.read(index if pages.count > 1 else 0), lossy)


def count_pages(path: str | os.PathLike[str]) -> int:
    """How many pages or frames a mask has; 1 where it is an image of a set.

    Raises:
        DataError: unreadable; the error names the mask.
    """
    if names_set(path):
        return 1
    with _naming_mask(path), open_pages(Path(path), max_pixels=MAX_PIXELS) as pages:
        return pages.count


@contextmanager
def _naming_mask(source: Any) -> Iterator[None]:
    """Within, errors name the mask: they would be taken for those of the image."""
    try:
        yield
    except DataError as error:
        name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "of the call"
        reason = getattr(error, "reason", None) or error.message.without_prefix(f"{name}: ")
        raise DataError(
            "its mask {path}: {reason}", id="inpaint.mask-unreadable", path=name, reason=reason
        ) from error


def of_picture(pixels: npt.NDArray[Any], lossy: tuple[bool, bool] = (False, False)) -> Mask:
    """As `from_picture`, of the picture `(H, W, C)`, whose second or fourth channel is alpha.

    Args:
        lossy: the picture was in a file that does not keep every sample of its colours, and of its alpha.

    Raises:
        DataError: NaN or negative samples.
    """
    check_values(pixels)
    top = 1.0 if pixels.dtype.kind in "bf" else float(np.iinfo(pixels.dtype).max)
    levels = [LOSSY_LEVEL / 255 * top if is_lossy else 0 for is_lossy in lossy]
    if pixels.shape[2] in (2, 4):
        visible = np.asarray(pixels[..., -1] > levels[1])
        if MIN_TRANSPARENT_SHARE <= 1 - visible.mean() < 1:
            return visible
        pixels = pixels[..., :-1]
    return np.asarray((pixels > levels[0]).any(2))


def check_values(mask: npt.NDArray[Any]) -> None:
    """Raises:
    DataError: what a mask cannot hold: NaN, values below 0, or no numbers.
    """
    if mask.dtype.kind not in "biuf":
        raise DataError("a mask holds numbers, not {dtype}", id="inpaint.mask-type", dtype=mask.dtype)
    if mask.dtype.kind in "if" and mask.size and not (mask.min() >= 0):  # NaN is not
        raise DataError(
            "a mask holds values from 0 on, and this one NaN or values below", id="inpaint.mask-values"
        )


def grow(mask: Mask, rows: int, columns: int | None = None) -> Mask:
    """A mask `(H, W)`, grown by this many rows and columns in each direction.

    Args:
        rows: 0 leaves it as it is.
        columns: by default as many as rows.
    """
    columns = rows if columns is None else columns
    if not rows and not columns:
        return mask
    # Growth beyond the size of the image marks all of it; a filter of that width would take quadratic time.
    sides = (2 * min(rows, mask.shape[0]) + 1, 2 * min(columns, mask.shape[1]) + 1)
    from scipy import ndimage  # slow to import, and most masks do not grow

    return np.asarray(ndimage.maximum_filter(mask, sides, mode="constant", cval=0), bool)


def jpeg_spread(source: str | Path, colour: tuple[int, int, int]) -> tuple[int, int]:
    """By how many rows and columns the JPEG compression of a file spreads a drawn colour.

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
