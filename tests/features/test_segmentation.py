"""Maps of marked defects for pictures of any size, and what is usual at a place of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from isthmus.errors import CapabilityError, DataError
from isthmus.features.position_statistics import BINS, PositionStatistics
from isthmus.features.segmentation import segmentation_map
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import resolve_recipe

Map = npt.NDArray[np.float32]


def model_of(channels: int = 1) -> Autoencoder:
    """Untrained, but with a last layer that is not silent."""
    model = build(resolve_recipe("defects", "8@16"), channels=channels, size=(32, 32), seed=1)
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            if not bool(parameter.any()):
                parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(2))
    return model


def picture(height: int, width: int, channels: int = 1, seed: int = 0) -> Map:
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (7, 500), (385, 30), (400, 410)])
def test_pictures_of_any_size_and_channels_have_a_map(channels: int, size: tuple[int, int]) -> None:
    result = segmentation_map(model_of(channels), picture(*size, channels))
    assert result.shape == size and result.dtype == np.float32 and bool(np.isfinite(result).all())
    if min(size) > 1:
        assert result.std() > 0


def test_a_small_picture_is_seen_whole() -> None:
    model = model_of()
    small = picture(60, 70)
    full_mask = model.mark_batch(torch.from_numpy(small.transpose(2, 0, 1))[None]).detach()[0]
    np.testing.assert_array_equal(segmentation_map(model, small), full_mask.numpy())


def test_a_map_follows_its_picture() -> None:
    model = model_of()
    first = picture(500, 450)
    changed = first.copy()
    changed[400:410, 30:40] = 1 - changed[400:410, 30:40]
    difference = np.abs(segmentation_map(model, first) - segmentation_map(model, changed))
    assert np.unravel_index(difference.argmax(), difference.shape)[0] > 380
    assert difference[:100].max() < 1e-4  # another tile


def test_overlapping_tiles_are_averaged_by_the_distance_to_their_borders() -> None:
    """As all tiles at once give it, in every row of tiles; bytes are read like their floats."""
    model = model_of()
    sample = np.random.default_rng(3).integers(0, 256, (1000, 500, 1), np.uint8)
    total, weights = np.zeros((2, 1000, 500))
    distance = np.minimum(np.arange(384) + 1, 384 - np.arange(384)) / 192.5
    weight = np.maximum(np.minimum(distance[:, None], distance[None]), 0.05)
    for top in (0, 205, 411, 616):
        for left in (0, 116):
            place = np.s_[top : top + 384, left : left + 384]
            tile = np.ascontiguousarray(sample[place].transpose(2, 0, 1), np.float32) / np.float32(255)
            total[place] += weight * model.mark_batch(torch.from_numpy(tile)[None]).detach()[0].numpy()
            weights[place] += weight
    result = segmentation_map(model, sample)
    np.testing.assert_allclose(result, total / weights, rtol=1e-4, atol=1e-4)
    floats = np.divide(sample, np.float32(255), dtype=np.float32)
    np.testing.assert_array_equal(result, segmentation_map(model, floats))


def test_an_ensemble_is_the_mean_over_mirror_images_and_turns_with_the_picture() -> None:
    model, sample = model_of(), picture(40, 56)
    result = segmentation_map(model, sample, ensemble=True)
    views = [(slice(None, None, a), slice(None, None, b)) for a in (1, -1) for b in (1, -1)]
    expected = np.mean([segmentation_map(model, sample[view])[view] for view in views], 0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    mirrored = segmentation_map(model, sample[:, ::-1], ensemble=True)[:, ::-1]
    np.testing.assert_allclose(mirrored, result, rtol=1e-4, atol=1e-4)
    assert np.abs(result - segmentation_map(model, sample)).max() > 1e-3


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (0, 8, 1)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="cannot be segmented"):
        segmentation_map(model_of(), np.zeros(shape, np.float32))


def test_a_model_that_marks_nothing_is_refused() -> None:
    model = build(Recipe(code="4@4").with_settings(["backbone.width=4"]), channels=1, size=(8, 8))
    with pytest.raises(CapabilityError, match="does not mark defects"):
        segmentation_map(model, picture(8, 8))


# ------------------------------------------------------------ statistics by position


def bordered(height: int, width: int, seed: int) -> Map:
    """Noise of deviation 1, but 3 at the border, where the mean is 10."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    edge = np.ones((height, width), bool)
    edge[height // 20 : height - height // 20, width // 20 : width - width // 20] = False
    return np.where(edge, 10 + 3 * noise, noise).astype(np.float32)


def test_borders_are_compared_with_borders() -> None:
    statistics = PositionStatistics.fit(bordered(200 + 20 * i, 300 - 10 * i, i) for i in range(6))
    assert statistics.mean.shape == statistics.deviation.shape == (BINS, BINS)
    assert statistics.mean[0, 5] == pytest.approx(10, abs=0.2)
    assert statistics.mean[5, 0] == pytest.approx(10, abs=0.2)
    assert statistics.deviation[0, 5] == pytest.approx(3, abs=0.2)
    assert statistics.mean[5, 5] == pytest.approx(0, abs=0.2)
    assert statistics.deviation[5, 5] == pytest.approx(1, abs=0.2)
    result = statistics.normalise(bordered(240, 260, 9))
    assert result.shape == (240, 260) and result.dtype == np.float32
    assert result.mean() == pytest.approx(0, abs=0.1) and result.std() == pytest.approx(1, abs=0.1)
    unusual = bordered(240, 260, 9)
    unusual[120, 130] = 9.0  # usual at the border, nine deviations in the middle
    place = np.unravel_index(statistics.normalise(unusual).argmax(), unusual.shape)
    assert tuple(map(int, place)) == (120, 130)


def test_a_map_and_its_mirror_images_have_the_same_deviations() -> None:
    statistics = PositionStatistics.fit([bordered(60, 90, 0)])
    sample = bordered(31, 47, 1)
    np.testing.assert_array_equal(
        statistics.normalise(sample[::-1, ::-1]), statistics.normalise(sample)[::-1, ::-1]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_small_and_constant_maps_have_statistics(size: tuple[int, int]) -> None:
    statistics = PositionStatistics.fit([np.full(size, 2.0, np.float32)] * 3)
    np.testing.assert_allclose(statistics.normalise(np.full((20, 30), 2.0, np.float32)), 0, atol=1e-3)
    assert np.isfinite(statistics.normalise(np.full(size, 5.0, np.float32))).all()


def test_statistics_travel_as_tensors() -> None:
    statistics = PositionStatistics.fit([bordered(60, 90, 0)])
    tensors = statistics.tensors()
    assert {name: tuple(sample.shape) for name, sample in tensors.items()} == {
        "mean": (10, 10),
        "deviation": (10, 10),
    }
    again = PositionStatistics.from_tensors(tensors)
    sample = bordered(50, 50, 1)
    np.testing.assert_allclose(again.normalise(sample), statistics.normalise(sample), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="shape"):
        PositionStatistics.from_tensors({**tensors, "mean": torch.zeros(3)})
    with pytest.raises(ValueError, match="no means"):
        PositionStatistics.from_tensors({**tensors, "deviation": torch.zeros(10, 10)})


def test_no_maps_and_no_numbers_are_refused() -> None:
    with pytest.raises(DataError, match="at least one map"):
        PositionStatistics.fit([])
    with pytest.raises(DataError, match="finite"):
        PositionStatistics.fit([np.full((4, 4), np.nan, np.float32)])
