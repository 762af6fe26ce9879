"""Marks in the noise of an image that its level does not show: blocks of JPEG, and rows or columns.

JPEG rounds most high-frequency cosine coefficients of each block to zero. Where blocks are cut elsewhere
they are not zero, so the share of zeros shows the file's blocks (as in Fan and de Queiroz 2003,
"Identification of bitmap compression history"). Noise of whole rows is the same far apart in a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BLOCK_SIDE_PX = 8
MIN_FREQUENCY = 6  # sum of the two indices of a coefficient that counts
MAX_ZERO = 1.0  # of 255: what rounding to 8 bits leaves of a coefficient that is zero
MIN_BLOCK_DEVIATION = 1.5  # of 255: flatter blocks have zeros wherever they are cut
MAX_BLOCKS = 300
MIN_BLOCKS = 12
MORE_ZEROS, ZEROS_RATIO = 0.08, 1.5  # at the file's blocks than at others
MIN_LINES = 48
MIN_LINE_CORRELATION = 0.25
MAX_LINE_RATIO = 3.0  # of a line's detail to the median: more is an edge


def luminance(planes: npt.NDArray[Any], white: float) -> Floats:
    """`(H, W, C)` → `(H, W)` in units of 1/255 of `white`."""
    weights = np.array([0.299, 0.587, 0.114]) if planes.shape[2] == 3 else np.ones(1)
    luma: Floats = planes[..., : len(weights)].astype(np.float64) @ weights * (255 / white)
    return luma


def has_jpeg_blocks(luma: Floats) -> bool:
    """Whether an image `(H, W)` was decoded from JPEG, or cropped out of such an image.

    Args:
        luma: luminance in units of 1/255, of 8 bits; noise that was added after the coding hides the blocks.
    """
    height, width = (side - BLOCK_SIDE_PX + 1 for side in luma.shape)
    if min(height, width) < 2 * BLOCK_SIDE_PX:
        return False
    shares = _zero_shares(luma)
    if np.isnan(shares).any():
        return False
    place = np.unravel_index(int(shares.argmax()), shares.shape)
    # Coefficients of blocks that share most of their samples with the file's are zero as well.
    far = np.roll(shares, (4 - place[0], 4 - place[1]), (0, 1))
    inner_difference = float(np.median(np.concatenate([far[:2].ravel(), far[:, :2].ravel()])))
    most = float(shares.max())
    return most > inner_difference + MORE_ZEROS and most > ZEROS_RATIO * inner_difference


def _zero_shares(luma: Floats) -> Floats:
    """`(8, 8)`: the share of high coefficients that are zero, for blocks from each row and column on."""
    side = BLOCK_SIDE_PX
    frequency = np.add.outer(np.arange(side), np.arange(side))
    cosines = _cosine_basis(side)
    shares = np.full((side, side), np.nan)
    for top in range(side):
        for left in range(side):
            part = luma[top:, left:]
            rows, columns = part.shape[0] // side, part.shape[1] // side
            grid = part[: rows * side, : columns * side].reshape(rows, side, columns, side)
            blocks = grid.transpose(0, 2, 1, 3).reshape(-1, side, side)
            blocks = blocks[:: max(1, len(blocks) // MAX_BLOCKS)]
            blocks = blocks[blocks.std((1, 2)) > MIN_BLOCK_DEVIATION]
            if len(blocks) < MIN_BLOCKS:
                return shares
            high = np.abs(cosines @ blocks @ cosines.T)[:, frequency >= MIN_FREQUENCY]
            shares[top, left] = (high < MAX_ZERO).mean()
    return shares


def _cosine_basis(side: int) -> Floats:
    """The orthonormal DCT-II as a matrix `(side, side)`. SciPy has one, but importing it takes time."""
    angles = np.pi / side * np.outer(np.arange(side), np.arange(side) + 0.5)
    basis = np.sqrt(2 / side) * np.cos(angles)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)


def has_line_noise(luma: Floats) -> bool:
    """Whether whole rows or columns of an image `(H, W)` are brighter or darker by chance."""
    return _rows_are_noisy(luma) or _rows_are_noisy(luma.T)


def _rows_are_noisy(luma: Floats) -> bool:
    height, width = luma.shape
    if height < MIN_LINES or width < MIN_LINES:
        return False
    mirrored = np.pad(luma, ((1, 1), (0, 0)), mode="reflect")
    detail = 0.5 * luma - 0.25 * (mirrored[:-2] + mirrored[2:])
    # The median over a part of a row leaves out edges that cross it.
    parts = np.array([np.median(part, 1) for part in np.array_split(detail, 4, axis=1)])
    # Flat rows are no noise, and the edge of a bar across the image is not either.
    size = np.abs(parts).max(0)
    varying = (np.abs(parts) > 0).all(0)
    if varying.sum() < MIN_LINES:
        return False
    parts = parts[:, varying & (size <= MAX_LINE_RATIO * np.median(size[varying]))]
    return all(_correlation(parts[a], parts[b]) > MIN_LINE_CORRELATION for a, b in ((0, 2), (0, 3), (1, 3)))


def _correlation(first: Floats, second: Floats) -> float:
    """0 where one of them does not vary."""
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 0 else 0.0
