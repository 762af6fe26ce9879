"""Images drawn on sheets, as PNG bytes: rows of them, heat maps over them, a map of small ones.

Backgrounds are transparent and all ink is of middle brightness, so that a picture reads on white, on black
and on paper. Pixels are for 192 dpi: shown at half their size they are sharp on every screen.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from isthmus.errors import DataError, OutputError
from isthmus.escaping import for_drawing
from isthmus.images.bands import visible_bands
from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.reports.charts import DPI, INK, PALETTE, check_chart_scale

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MIN_CELL_PX, MAX_CELL_PX = 128, 320
MAX_ENLARGED_CELL_PX = 4096  # of one image, where a scale is given
GAP_PX, LABEL_PX = 8, 26
HEAT_STRENGTH = 0.65
MAP_SIDE_PX, THUMBNAIL_PX = 1440, 44
MAX_MAP_IMAGES = 300  # more would hide one another
_ABOVE, _BELOW = np.array([0xD5, 0x5E, 0x00]), np.array([0x00, 0x72, 0xB2])  # of Okabe and Ito's palette


def draw_image_rows(
    rows: Sequence[tuple[str, ArrayLike | Sequence[NDArray[Any]]]],
    *,
    columns: int = 10,
    scale: int | None = None,
) -> bytes:
    """One strip of images per row, its title above it; column j of all rows belongs together.

    Small images are enlarged by a whole factor without smoothing, large ones shrunk by averaging.

    Args:
        rows: (title, images); images are (N, H, W) or (N, H, W, C), or a list of (H, W, C) of any sizes,
            uint8, uint16 or floats in [0, 1] (clipped).
            1 channel is shown as grey, 3 as colours, and of any other number those that `images/bands.py`
            names.
        columns: the most images shown of each row.
        scale: enlarge every image by this whole factor instead.

    Returns:
        A PNG file.

    Raises:
        DataError: no rows, a row without images, or arrays of another number of axes.
        OutputError: too large a scale.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not rows:
        raise DataError("no rows of images to draw", id="report.no-rows")
    strips = [
        (for_drawing(title), [_cell(image, scale) for image in _images(title, images)[:columns]])
        for title, images in rows
    ]
    wide = max(cell.width for _, cells in strips for cell in cells)
    many = max(len(cells) for _, cells in strips)
    font = ImageFont.load_default(LABEL_PX)
    line = round(LABEL_PX * 1.6)
    width = many * (wide + GAP_PX) - GAP_PX
    for title, _ in strips:
        width = max(width, math.ceil(font.getlength(title)) + 2)
    height = sum(line + max(cell.height for cell in cells) + 2 * GAP_PX for _, cells in strips) - 2 * GAP_PX
    sheet = Image.new("RGBA", (width, height), (125, 130, 138, 0))
    draw = ImageDraw.Draw(sheet)
    top = 0
    for title, cells in strips:
        draw.text((0, top), title, font=font, fill=INK)
        top += line
        for number, cell in enumerate(cells):
            sheet.alpha_composite(cell, (number * (wide + GAP_PX), top))
        top += max(cell.height for cell in cells) + 2 * GAP_PX
    stream = io.BytesIO()
    sheet.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def draw_heat_maps(
    images: Sequence[npt.NDArray[Any]],
    maps: Sequence[npt.NDArray[np.float64]],
    names: Sequence[str],
) -> bytes:
    """Images `(H, W, C)` above the same with heat maps `(H, W)`, as a PNG; maps share one colour scale."""
    low = min(float(heat.min()) for heat in maps)
    high = max(float(heat.max()) for heat in maps)
    warm = [overlay_heat(i, (m - low) / max(high - low, 1e-12)) for i, m in zip(images, maps, strict=True)]
    title = f"Most unusual first: {names[0]}" + (f" … {names[-1]}" if len(names) > 1 else "")
    return draw_image_rows([(title, list(images)), ("Where", warm)], columns=10)


def overlay_heat(image: npt.NDArray[Any], heat: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """`(H, W, C)` with `(H, W)` heat in [0, 1]: grey, turning orange and then red where it is high."""
    gray = to_dtype(to_channels(visible_bands(image), 1), np.float32)[..., 0]
    heat = heat.clip(0, 1)
    colour = np.stack([np.ones_like(heat), 0.75 * (1 - heat), np.zeros_like(heat)], -1)
    share = (HEAT_STRENGTH * heat)[..., None]
    mixed = (1 - share) * gray[..., None] + share * colour
    return np.asarray((mixed * 255).round().clip(0, 255), dtype=np.uint8)


def colour_signed(values: ArrayLike) -> Pixels:
    """`(H, W)` → `(H, W, 3)` uint8; the largest value has the full colour."""
    array = np.asarray(values, dtype=np.float64)
    most = float(np.abs(array).max())
    share = np.clip(array / max(most, 1e-12), -1, 1)[..., None]
    colour = np.where(share >= 0, _ABOVE, _BELOW)
    return np.asarray(np.rint(255 + np.abs(share) * (colour - 255)), dtype=np.uint8)


def draw_map(points: npt.NDArray[np.float32], images: ImageSet, *, scale: int = 1) -> bytes:
    """A PNG: every image where its code lies, framed in the colour of its class where there are labels.

    Args:
        points: `(N, 2)` in [0, 1], up is up.
        scale: factor of the picture's resolution.

    Raises:
        OutputError: too large a scale.
    """
    from PIL import Image

    check_chart_scale(scale)
    side, small_side = MAP_SIDE_PX * scale, THUMBNAIL_PX * scale
    sheet = Image.new("RGBA", (side, side), (125, 130, 138, 0))
    room = side - small_side - 4
    labels = images.labels
    for index, (x, y) in enumerate(points):
        image = fit(to_channels(visible_bands(images.image(index)), 3), (small_side, small_side))
        small = Image.fromarray(np.ascontiguousarray(to_dtype(image, np.uint8)))
        colour = "#7d828a" if labels is None else PALETTE[int(labels[index]) % len(PALETTE)]
        framed = Image.new("RGBA", (small_side + 4, small_side + 4), colour)
        framed.paste(small, (2, 2))
        sheet.alpha_composite(framed, (round(float(x) * room), round(float(1 - y) * room)))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()


def _images(title: str, images: ArrayLike | Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
    if (
        isinstance(images, list)
        and images
        and all(np.ndim(image) == 3 and np.size(image) for image in images)
    ):
        return images
    array = np.asarray(images)
    if array.ndim not in (3, 4) or len(array) == 0 or 0 in array.shape:
        raise DataError(
            "'{title}' should be images (N, H, W) or (N, H, W, C), not an array {shape}",
            id="report.images-shape",
            title=title,
            shape=array.shape,
        )
    return list(array if array.ndim == 4 else array[..., None])


def resize(picture: PillowImage, usual: int, most: int, scale: int | None) -> PillowImage:
    """Each pixel as a square of `scale` pixels, by default of `usual`, or made smaller to `most` in all.

    Raises:
        OutputError: the result would be too large.
    """
    from PIL import Image

    longest = max(picture.size)
    if scale is not None and longest * scale > MAX_ENLARGED_CELL_PX:
        raise OutputError(
            "scale={scale}: the images would be {longest:,} pixels wide or high",
            id="output.images-scale",
            hint="give a smaller scale",
            scale=scale,
            longest=longest * scale,
        )
    if scale is None and longest > most:
        picture.thumbnail((most, most), Image.Resampling.BOX)
        return picture
    factor = scale or usual
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def _cell(image: NDArray[Any], scale: int | None) -> PillowImage:
    from PIL import Image, ImageDraw

    image = visible_bands(image)
    if image.dtype == np.uint16:
        image = to_dtype(image, np.uint8)
    elif image.dtype != np.uint8:
        image = (np.nan_to_num(image.astype(np.float64)).clip(0, 1) * 255).round().astype(np.uint8)
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("RGBA")
    picture = resize(picture, math.ceil(MIN_CELL_PX / max(picture.size)), MAX_CELL_PX, scale)
    framed = Image.new("RGBA", (picture.width + 2, picture.height + 2), (0, 0, 0, 0))
    box = (0, 0, framed.width - 1, framed.height - 1)
    # A hairline: without it a white image has no edge on a white page.
    ImageDraw.Draw(framed).rectangle(box, outline=(125, 130, 138, 110))
    framed.paste(picture, (1, 1))
    return framed
