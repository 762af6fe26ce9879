"""Inspected pictures: heat over the picture, a contour around what is marked, a colour scale, a caption."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.escaping import for_drawing
from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_channels, to_dtype
from isthmus.images.store import Pixels
from isthmus.reports.charts import DPI
from isthmus.reports.image_sheets import resize

MIN_SIDE_PX, MAX_SIDE_PX = 256, 1600  # of the picture on an overlay
CELL_PX = 300
SCALE_WIDTH_PX, GAP_PX = 18, 8
FONT_PX, SHEET_FONT_PX = 15, 22
COLUMNS = 4
_CONTOUR = (0, 220, 255)
_PAPER, _INK, _ALERT = (255, 255, 255), (30, 34, 40), (190, 30, 20)
_STRENGTH = 0.6


@dataclass(frozen=True)
class OverlayItem:
    """One picture to draw.

    Attributes:
        pixels: `(H, W, C)`.
        heat: `(H, W)` float32.
        mask: `(H, W)` bool, what is marked.
        caption: lines of text.
        flagged: whether the last line is shown as an alert.
    """

    pixels: Pixels
    heat: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    caption: tuple[str, ...]
    flagged: bool


def draw_overlay(item: OverlayItem, low: float, high: float, scale: int | None = None) -> bytes:
    """A PNG: the picture, next to it the same with heat and contour, a colour scale and the caption.

    Args:
        low, high: of the colour scale: at `low` and below the picture is gray.
        scale: enlarge the picture by this whole factor; by default small ones are enlarged.
    """
    from PIL import Image, ImageDraw, ImageFont

    plain, warm = (
        _resize(drawn, MIN_SIDE_PX, MAX_SIDE_PX, scale)
        for drawn in (_as_rgb(item.pixels), _mix(item, low, high))
    )
    warm = _with_contour(warm, item.mask)
    font = ImageFont.load_default(FONT_PX)
    line = round(FONT_PX * 1.5)
    label = max(font.getlength(text) for text in (_number(low), _number(high)))
    width = plain.width + GAP_PX + warm.width + GAP_PX + SCALE_WIDTH_PX + 6 + math.ceil(label)
    caption = [for_drawing(text) for text in item.caption]
    width = max(width, *(math.ceil(font.getlength(text)) for text in caption))
    sheet = Image.new("RGB", (width + 2 * GAP_PX, plain.height + line * len(caption) + 3 * GAP_PX), _PAPER)
    sheet.paste(plain, (GAP_PX, GAP_PX))
    sheet.paste(warm, (plain.width + 2 * GAP_PX, GAP_PX))
    draw = ImageDraw.Draw(sheet)
    left = plain.width + warm.width + 3 * GAP_PX
    bar = Image.fromarray(_colour_bar(plain.height)).resize((SCALE_WIDTH_PX, plain.height))
    sheet.paste(bar, (left, GAP_PX))
    draw.text((left + SCALE_WIDTH_PX + 6, GAP_PX), _number(high), font=font, fill=_INK)
    draw.text((left + SCALE_WIDTH_PX + 6, GAP_PX + plain.height - line), _number(low), font=font, fill=_INK)
    for number, text in enumerate(caption):
        is_verdict = item.flagged and number == len(caption) - 1
        top = plain.height + 2 * GAP_PX + number * line
        draw.text((GAP_PX, top), text, font=font, fill=_ALERT if is_verdict else _INK)
    return _png(sheet)


def draw_overlay_sheet(
    items: Sequence[OverlayItem], low: float, high: float, *, columns: int = COLUMNS, scale: int | None = None
) -> bytes:
    """A PNG: pictures in rows, each above the same with heat and contour and above its own caption."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(SHEET_FONT_PX)
    line = round(SHEET_FONT_PX * 1.5)
    cells = []
    for item in items:
        plain, warm = (
            _resize(drawn, CELL_PX, CELL_PX, scale) for drawn in (_as_rgb(item.pixels), _mix(item, low, high))
        )
        cells.append((plain, _with_contour(warm, item.mask), [for_drawing(text) for text in item.caption]))
    wide = max(max(plain.width for plain, _, _ in cells), 160)
    wrapped = [[part for text in texts for part in _wrap(text, font, wide)] for _, _, texts in cells]
    lines = max(map(len, wrapped))
    high_px = max(plain.height for plain, _, _ in cells)
    cell = (wide + 2 * GAP_PX, 2 * high_px + 3 * GAP_PX + lines * line)
    columns_used = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns_used)
    sheet = Image.new("RGB", (columns_used * cell[0], rows * cell[1]), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, ((plain, warm, _), texts) in enumerate(zip(cells, wrapped, strict=True)):
        top, left = (number // columns_used) * cell[1] + GAP_PX, (number % columns_used) * cell[0] + GAP_PX
        sheet.paste(plain, (left, top))
        sheet.paste(warm, (left, top + plain.height + GAP_PX // 2))
        start = top + 2 * plain.height + GAP_PX
        for place, text in enumerate(texts):
            is_verdict = items[number].flagged and place == len(texts) - 1
            draw.text((left, start + place * line), text, font=font, fill=_ALERT if is_verdict else _INK)
    return _png(sheet)


def encode_mask(mask: npt.NDArray[np.bool_]) -> bytes:
    """`(H, W)` bool as a PNG of one channel: 255 where it is true."""
    from PIL import Image

    return _png(Image.fromarray(mask.astype(np.uint8) * 255))


def _wrap(text: str, font: Any, width: int) -> list[str]:
    """Lines of at most `width` pixels; a name without spaces is cut where it is too long."""
    lines, current = [], ""
    for character in text:
        if current and font.getlength(current + character) > width:
            lines.append(current)
            current = ""
        current += character
    return [*lines, current]


def _as_rgb(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return np.asarray(to_dtype(to_channels(visible_bands(pixels), 3), np.uint8))


def _mix(item: OverlayItem, low: float, high: float) -> npt.NDArray[np.uint8]:
    gray = _as_rgb(item.pixels).astype(np.float32).mean(2)
    share = np.clip((item.heat - low) / max(high - low, 1e-12), 0, 1)
    colour = _heat_colour(share)
    weight = (_STRENGTH * np.sqrt(share))[..., None]
    return np.asarray(((1 - weight) * gray[..., None] + weight * colour).round(), dtype=np.uint8)


def _heat_colour(share: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Yellow, then orange, then red."""
    green = 230 * (1 - share)
    return np.stack([np.full_like(share, 255.0), green, np.zeros_like(share)], -1).astype(np.float32)


def _colour_bar(height: int) -> npt.NDArray[np.uint8]:
    share = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    weight = (_STRENGTH * np.sqrt(share))[..., None]
    return np.asarray(((1 - weight) * 128 + weight * _heat_colour(share)).round(), dtype=np.uint8)


def _resize(pixels: npt.NDArray[np.uint8], least: int, most: int, scale: int | None) -> Any:
    from PIL import Image

    return resize(Image.fromarray(pixels), max(1, least // max(pixels.shape[:2])), most, scale)


def _with_contour(picture: Any, mask: npt.NDArray[np.bool_]) -> Any:
    """The picture with a line, two pixels wide, around what is marked."""
    from PIL import Image
    from scipy import ndimage

    if not mask.any():
        return picture
    small = Image.fromarray(mask.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.BOX)
    inside = np.asarray(small) > 64
    line = ndimage.binary_dilation(inside, iterations=2) & ~inside
    drawn = np.array(picture)
    drawn[line] = _CONTOUR
    return Image.fromarray(drawn)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _png(picture: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()
