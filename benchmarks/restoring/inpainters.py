"""Isthmus and the classical methods that fill in what is missing; those are used where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from restoring.images import Array

import isthmus
from isthmus.model.autoencoder import Autoencoder

Inpainter = Callable[[Array, npt.NDArray[np.bool_]], npt.NDArray[Any]]

RADIUS = 3


def inpainters(model: Autoencoder | None) -> dict[str, Inpainter]:
    methods: dict[str, Inpainter] = {
        "isthmus": lambda image, mask: isthmus.inpaint(image, mask, model),
        "isthmus ensemble": lambda image, mask: isthmus.inpaint(image, mask, model, ensemble=True),
        "cubic": cubic,
        "harmonic": harmonic,
    }
    if find_spec("cv2"):
        methods |= {"cv2 Telea": telea, "cv2 NS": navier_stokes}
    return methods


def _by_plane(image: Array, mask: npt.NDArray[np.bool_], fill: Inpainter) -> npt.NDArray[Any]:
    if image.ndim == 2:
        return fill(image, mask)
    return np.stack([fill(image[..., c], mask) for c in range(image.shape[2])], -1)


def cubic(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Piecewise cubic on triangles (scipy's griddata); nearest outside of the known pixels' hull."""
    from scipy.interpolate import griddata

    known_pixels, missing = np.argwhere(~mask), np.argwhere(mask)

    def plane(values: Array, _: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        out = values.copy()
        values_between = griddata(known_pixels, values[~mask], missing, method="cubic")
        near = griddata(known_pixels, values[~mask], missing, method="nearest")
        out[mask] = np.where(np.isfinite(values_between), values_between, near)
        return out

    return _by_plane(image, mask, plane)


def harmonic(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Every missing pixel is the mean of its neighbours (Laplace's equation, mirrored borders)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    height, width = mask.shape
    number = np.cumsum(mask.ravel()).reshape(mask.shape) - 1
    rows, columns = np.nonzero(mask)
    own = number[rows, columns]
    count = len(own)
    degree = np.zeros(count)
    entries: list[tuple[Any, Any]] = []
    edges: list[tuple[Any, Any, Any]] = []
    for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        r, c = rows + dr, columns + dc
        inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
        degree += inside
        r, c, mine = r[inside], c[inside], own[inside]
        hidden = mask[r, c]
        entries.append((mine[hidden], number[r[hidden], c[hidden]]))
        edges.append((mine[~hidden], r[~hidden], c[~hidden]))
    first = np.concatenate([a for a, _ in entries] + [np.arange(count)])
    second = np.concatenate([b for _, b in entries] + [np.arange(count)])
    values = np.concatenate([np.full(len(first) - count, -1.0), degree])
    matrix = coo_matrix((values, (first, second)), shape=(count, count)).tocsc()

    def plane(pixels: Array, _: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
        right = np.zeros(count)
        for mine, r, c in edges:
            np.add.at(right, mine, pixels[r, c])
        out = pixels.copy()
        out[mask] = spsolve(matrix, right)
        return out

    return _by_plane(image, mask, plane)


def telea(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    import cv2

    return _cv2_inpaint(image, mask, cv2.INPAINT_TELEA)


def navier_stokes(image: Array, mask: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    import cv2

    return _cv2_inpaint(image, mask, cv2.INPAINT_NS)


def _cv2_inpaint(image: Array, mask: npt.NDArray[np.bool_], flag: int) -> npt.NDArray[Any]:
    import cv2

    levels = (image * 255).round().astype(np.uint8)
    filled = cv2.inpaint(levels, mask.astype(np.uint8), RADIUS, flag) / np.float32(255)
    return np.where(mask if image.ndim == 2 else mask[..., None], filled, image)
