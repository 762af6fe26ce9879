"""A map of many images as one self-contained HTML page that can be zoomed."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from isthmus.escaping import fill, for_html, for_script
from isthmus.images.bands import visible_bands
from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.version import __version__

THUMBNAIL_SIDE_PX = 28


def code_map_page(
    points: npt.NDArray[np.float32],
    images: Iterable[npt.NDArray[Any]],
    names: Sequence[str],
    *,
    labels: npt.NDArray[np.int64] | None,
    classes: Sequence[str],
    title: str,
    note: str,
) -> str:
    """The whole page: thumbnails as one embedded sheet, points and names as JSON, a script of its own.

    Args:
        points: `(N, 2)` in [0, 1], up is up.
        images: `(H, W, C)` each, in their order.
        labels: `(N,)` indices into `classes`, or None.
    """
    side = THUMBNAIL_SIDE_PX
    columns = math.ceil(math.sqrt(len(points)))
    sheet = np.zeros((math.ceil(len(points) / columns) * side, columns * side, 3), np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        small = to_dtype(fit(to_channels(visible_bands(image), 3), (side, side)), np.uint8)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = small
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "WEBP", quality=80)
    data = {
        "places": [[round(float(x), 4), round(float(y), 4)] for x, y in points],
        "names": list(names),
        "labels": None if labels is None else labels.tolist(),
        "classes": list(classes),
        "side": side,
        "columns": columns,
        "sheet": "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode(),
    }
    page = files(__package__).joinpath("code_map.html").read_text(encoding="utf-8")
    words = {"TITLE": for_html(title), "NOTE": for_html(note), "VERSION": for_html(__version__)}
    return fill(page, {**words, "DATA": for_script(data)})
