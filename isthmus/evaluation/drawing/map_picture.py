"""A map of codes as a picture, for reports; `isthmus.code_map` makes the page that can be zoomed."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.evaluation.drawing.pictures import DPI, PALETTE
from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.store import ImageSet

SIDE = 1440
THUMBNAIL = 44
MAX_SHOWN_IMAGES = 300  # more would hide one another


def map_picture(points: npt.NDArray[np.float32], images: ImageSet) -> bytes:
    """A PNG: every image where its code lies, framed in the colour of its class where there are labels.

    Args:
        points: `(N, 2)` in [0, 1], up is up.
    """
    sheet = Image.new("RGBA", (SIDE, SIDE), (125, 130, 138, 0))
    room = SIDE - THUMBNAIL - 4
    labels = images.labels
    for index, (x, y) in enumerate(points):
        image = fit(to_channels(images.image(index), 3), (THUMBNAIL, THUMBNAIL))
        small = Image.fromarray(np.ascontiguousarray(to_dtype(image, np.uint8)))
        colour = "#7d828a" if labels is None else PALETTE[int(labels[index]) % len(PALETTE)]
        framed = Image.new("RGBA", (THUMBNAIL + 4, THUMBNAIL + 4), colour)
        framed.paste(small, (2, 2))
        sheet.alpha_composite(framed, (round(float(x) * room), round(float(1 - y) * room)))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", dpi=(DPI, DPI))
    return stream.getvalue()
