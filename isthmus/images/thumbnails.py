"""The first images of a set as a picture in a notebook."""

from __future__ import annotations

import base64
import html
import io

import numpy as np
from PIL import Image

from isthmus.images.bands import visible_bands
from isthmus.images.conform import to_dtype
from isthmus.images.store import ImageSet, Pixels
from isthmus.images.write import grid

MOST = 24
COLUMNS = 8
SIDE = 96  # pixels of a thumbnail


def thumbnails_html(images: ImageSet) -> str:
    """At most 24 images, large ones made smaller and small ones larger, above the set's own line."""
    line = f"<div>{html.escape(repr(images))}</div>"
    if len(images) == 0:
        return line
    thumbnails = [_thumbnail(images.image(index)) for index in range(min(MOST, len(images)))]
    stream = io.BytesIO()
    sheet = grid(thumbnails, min(COLUMNS, len(thumbnails)))
    Image.fromarray(sheet[..., 0] if sheet.shape[2] == 1 else sheet).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    names = html.escape(
        f"the first {len(thumbnails)} of {len(images)}" if len(images) > MOST else "all images"
    )
    return f'<img alt="{names}" src="data:image/png;base64,{data}"/>{line}'


def _thumbnail(image: Pixels) -> Pixels:
    plain = to_dtype(visible_bands(image), np.uint8)
    height, width, channels = plain.shape
    scale = SIDE / max(height, width)
    if scale >= 2:  # single pixels stay to be seen
        return np.repeat(np.repeat(plain, int(scale), axis=0), int(scale), axis=1)
    if scale >= 1:
        return plain
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(plain[..., 0] if channels == 1 else plain).resize(size, Image.Resampling.BOX)
    return np.asarray(small).reshape(size[1], size[0], channels)
