"""Dead pixels are those that SciPy's rank filter would point at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from isthmus.restoration.masks import DEVIATIONS, OUTLIER, dead_pixels


def by_rank_filter(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    high = ndimage.rank_filter(plane, -2, footprint=ring, mode="mirror")
    low = ndimage.rank_filter(plane, 1, footprint=ring, mode="mirror")
    steps = np.abs(np.diff(plane, axis=1))
    noise = float(np.median(steps)) / 0.954 if steps.size else 0.0
    far = max(OUTLIER, DEVIATIONS * noise)
    return np.asarray((plane > high + far) | (plane < low - far))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 1), (2, 7), (33, 40)])
def test_neighbours_are_ranked_as_scipy_ranks_them(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(sum(size))
    smooth = np.add.outer(np.arange(size[0]), np.arange(size[1])) / 200
    plane = (smooth + generator.normal(0, 0.005, size)).astype(np.float32)
    hit = generator.random(size) < 0.05
    plane[hit] = generator.integers(0, 2, int(hit.sum()))
    expected = by_rank_filter(plane)
    assert np.array_equal(dead_pixels(plane[..., None]), expected)
    assert expected.any() or min(size) < 3
