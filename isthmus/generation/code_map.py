"""A map of the codes of many images, in two dimensions, with the images themselves on it.

PCA, or t-SNE (van der Maaten and Hinton 2008) by scikit-learn on the first principal components. The page is
one HTML file that fetches nothing: all thumbnails are one embedded sheet, drawn on a canvas that zooms.
"""

from __future__ import annotations

import base64
import io
import math
import os
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from isthmus.atomic import write_text
from isthmus.errors import DataError, UsageError, nearest
from isthmus.escaping import fill, for_html, for_script
from isthmus.generation.codes import codes_of
from isthmus.images.conform import fit, to_channels, to_dtype
from isthmus.images.reading import read
from isthmus.images.store import ImageSet
from isthmus.metrics.subspace import principal_subspace
from isthmus.model.autoencoder import Autoencoder
from isthmus.threads import limited
from isthmus.version import __version__
from isthmus.wording import format_count

METHODS: tuple[str, ...] = ("tsne", "pca")
COMPONENTS = 50
THUMBNAIL = 28
MOST = 4000
LEAST = 3  # images


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Where each image lies.

    Attributes:
        places: `(N, 2)` in [0, 1], up is up.
        images: as given; method: how it was made; explained: share of variance that PCA's two axes hold.
    """

    places: npt.NDArray[np.float32]
    images: ImageSet
    method: str
    explained: float | None

    def write(self, path: str | os.PathLike[str], *, title: str = "Codes", force: bool = True) -> None:
        """Write the page, whole or not at all.

        Raises:
            OutputError: it cannot be written, or exists and `force` is off.
        """
        write_text(path, self.html(title), force=force)

    def html(self, title: str = "Codes") -> str:
        """The whole page: thumbnails as one sheet, places and names as JSON, a script of its own."""
        side = THUMBNAIL
        columns = math.ceil(math.sqrt(len(self.images)))
        sheet = np.zeros((math.ceil(len(self.images) / columns) * side, columns * side, 3), np.uint8)
        for index in range(len(self.images)):
            row, column = divmod(index, columns)
            sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = _thumbnail(
                self.images.image(index), side
            )
        stream = io.BytesIO()
        Image.fromarray(sheet).save(stream, "WEBP", quality=80)
        data = {
            "places": [[round(float(x), 4), round(float(y), 4)] for x, y in self.places],
            "names": list(self.images.names),
            "labels": None if self.images.labels is None else self.images.labels.tolist(),
            "classes": list(self.images.classes),
            "side": side,
            "columns": columns,
            "sheet": "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode(),
        }
        page = files(__package__).joinpath("code_map.html").read_text(encoding="utf-8")
        method = "t-SNE" if self.method == "tsne" else "PCA"
        note = f"{format_count(len(self.images), 'image')} by {method} of their codes"
        words = {"TITLE": for_html(title), "NOTE": for_html(note), "VERSION": for_html(__version__)}
        return fill(page, {**words, "DATA": for_script(data)})


@limited()
def code_map(
    model: Autoencoder, data: Any, *, method: str = "tsne", limit: int = MOST, seed: int = 0
) -> CodeMap:
    """Lay out the codes of images in two dimensions.

    Args:
        data: what `isthmus.read` takes.
        method: `tsne` keeps neighbours together, `pca` keeps directions.
        limit: at most so many images, evenly spaced.

    Raises:
        UsageError: another method. DataError: fewer than `LEAST` images, or unreadable ones.
    """
    if method not in METHODS:
        raise UsageError(f"method '{method}' is not known{nearest(method, METHODS)}")
    images = read(data)
    if len(images) > limit:
        images = images.subset(np.linspace(0, len(images) - 1, limit).round().astype(np.int64))
    if len(images) < LEAST:
        raise DataError(f"a map needs at least {LEAST} images")
    codes = codes_of(model, images).flatten(1)
    space = principal_subspace(
        torch.split(codes, 4096), min(COMPONENTS, codes.shape[1], len(codes)), seed=seed
    )
    rows = space.encode(codes).numpy()
    explained = None
    alike = float(np.abs(rows).max()) <= 1e-6 * float(codes.abs().max())  # t-SNE divides by their variance
    if method == "pca" or rows.shape[1] < 2 or alike:
        flat = np.pad(rows, ((0, 0), (0, max(0, 2 - rows.shape[1]))))[:, :2]
        total = float((codes - codes.mean(0)).square().sum())
        explained = float(np.square(rows[:, :2]).sum() / total) if total > 0 else 1.0
    else:
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(rows) - 1) / 3)
        flat = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(rows)
    low, high = flat.min(0), flat.max(0)
    places = ((flat - low) / np.maximum(high - low, 1e-9)).astype(np.float32)
    return CodeMap(places, images, method, explained)


def _thumbnail(image: npt.NDArray[Any], side: int) -> npt.NDArray[np.uint8]:
    return np.asarray(to_dtype(fit(to_channels(image, 3), (side, side)), np.uint8))
