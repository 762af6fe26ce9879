"""A map of codes as a picture, for reports; `isthmus map` makes the page that can be zoomed."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from isthmus.evaluation.drawing.pictures import DPI, PALETTE
from isthmus.generation.code_map import CodeMap
from isthmus.images.conform import fit, to_channels, to_dtype

SIDE = 1440
THUMBNAIL = 44


def map_picture(found: CodeMap) -> bytes:
    """A PNG: every image where its code lies, framed in the colour of its class where there are labels."""
    sheet = Image.new("RGBA", (SIDE, SIDE), (125, 130, 138, 0))
    room = SIDE - THUMBNAIL - 4
    labels = found.images.labels
    for index, (x, y) in enumerate(found.places):
        image = fit(to_channels(found.images.image(index), 3), (THUMBNAIL, THUMBNAIL))
        small = Image.fromarray(np.ascontiguousarray(to_dtype(image, np.uint8)))
        colour = "#7d828a" if labels is None else PALETTE[int(labels[index]) % len(PALETTE)]
        framed = Image.new("RGBA", (THUMBNAIL + 4, THUMBNAIL + 4), colour)
        framed.paste(small, (2, 2))
        sheet.alpha_composite(framed, (round(float(x) * room), round(float(1 - y) * room)))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()
