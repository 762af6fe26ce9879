"""Score `levels`: what brightness and contrast by place find without learning."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from isthmus.features.anomalies import Detector, map_with
from isthmus.features.detector_calibration import fit_to_pictures, make_plan
from isthmus.features.normal_rows import NormalRows
from isthmus.features.picture_maps import Part
from isthmus.features.pictures import Picture
from isthmus.features.readout import FeatureExtractor, fit_extractor
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import resolve_recipe

Pixels = npt.NDArray[np.float32]
Fitted = tuple[Autoencoder, FeatureExtractor, Detector]
SIZES = ((90, 120), (120, 120), (150, 100))


def part(seed: int, channels: int) -> Pixels:
    """A plate with a rim, of another size and brightness than the next one, with a fine texture."""
    random = np.random.default_rng(seed)
    height, width = SIZES[seed % 3]
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    rim = (np.minimum(np.minimum(y, 1 - y), np.minimum(x, 1 - x)) > 0.08) * 0.35 + 0.2
    gray = random.uniform(0.9, 1.1) * rim[..., None] + random.normal(0, 0.01, (height, width, channels))
    pixels: Pixels = gray.clip(0, 1).astype(np.float32)
    return pixels


@pytest.fixture(scope="module", params=[1, 3])
def fitted(request: pytest.FixtureRequest) -> Fitted:
    """Levels of a hundred parts; the network has learned nothing."""
    channels = request.param
    model = build(resolve_recipe("conv", "4"), channels=channels, size=(16, 16))
    images = ImageSet(np.random.default_rng(0).random((8, 16, 16, channels), np.float32), tuple("abcdefgh"))
    extractor = fit_extractor(model, images)
    parts = [Picture(part(seed, channels)) for seed in range(100)]
    rows = NormalRows(model, extractor, parts)
    plan = make_plan([str(seed) for seed in range(100)], seed=0)
    detector = fit_to_pictures(rows, [Part("levels", 0, "max", {})], plan, false_alarms=0.05, seed=0)
    return model, extractor, detector


def damage(seed: int, channels: int, kind: str) -> tuple[Pixels, tuple[int, int]]:
    """A part with a defect, and a place inside it."""
    pixels = part(seed, channels)
    height, width = pixels.shape[:2]
    if kind == "dark":
        return pixels * np.float32(0.7), (height // 2, width // 2)
    if kind == "bright":
        return (pixels * np.float32(1.4)).clip(0, 1), (height // 2, width // 2)
    if kind == "area":
        pixels[height * 3 // 5 :, : width * 2 // 5] *= np.float32(0.85)
        return pixels, (height * 4 // 5, width // 5)
    if kind == "line":
        pixels[height // 4 : height // 2, width // 2] -= np.float32(0.2)
        return pixels, (height * 3 // 8, width // 2)
    pixels[height // 4 : height // 2, width // 4 : width // 2, -1] *= np.float32(0.8)
    return pixels, (height * 3 // 8, width * 3 // 8)


@pytest.mark.parametrize("kind", ["dark", "bright", "area", "line", "colour"])
def test_levels_find_and_place_what_is_too_dark_or_has_an_edge(fitted: Fitted, kind: str) -> None:
    model, extractor, detector = fitted
    damaged = [damage(seed, model.channels, kind) for seed in range(200, 220)]
    maps = list(map_with(model, extractor, detector, [Picture(pixels) for pixels, _ in damaged]))
    assert np.mean([picture_map.score > detector.threshold for picture_map in maps]) >= 0.9
    if kind in ("area", "line"):
        places = [np.unravel_index(picture_map.heat.argmax(), picture_map.heat.shape) for picture_map in maps]
        away = [
            np.hypot(row / 30 - y / pixels.shape[0], column / 30 - x / pixels.shape[1])
            for (row, column), (pixels, (y, x)) in zip(places, damaged, strict=True)
        ]
        assert np.median(away) < 0.3


def test_good_parts_are_flagged_as_often_as_asked(fitted: Fitted) -> None:
    model, extractor, detector = fitted
    good = [Picture(part(seed, model.channels)) for seed in range(1000, 1200)]
    scores = [picture_map.score for picture_map in map_with(model, extractor, detector, good)]
    assert 0.01 <= np.mean(np.array(scores) > detector.threshold) <= 0.10


def test_pictures_of_one_cell_and_of_one_value_have_levels(fitted: Fitted) -> None:
    model, extractor, detector = fitted
    for shape in ((1, 1), (3, 70), (31, 29)):
        flat = np.full((*shape, model.channels), 0.5, np.float32)
        result = next(iter(map_with(model, extractor, detector, [Picture(flat)])))
        assert np.isfinite(result.heat).all() and result.heat.shape == (30, 30)


def test_identical_pictures_and_black_ones_can_be_fitted() -> None:
    from isthmus.features.level_statistics import fit_levels, level_values

    for rows in (torch.zeros(3, 2, 1, 30, 30), torch.full((1, 2, 4, 30, 30), 0.5)):
        tensors = fit_levels(rows, 0)
        assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
        assert np.isfinite(level_values(tensors, rows)).all()
