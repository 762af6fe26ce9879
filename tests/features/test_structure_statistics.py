"""Score `structure`: what lines and brightness by place find without learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from isthmus.features.anomalies import map_with
from isthmus.features.line_readings import CELLS, read_lines
from isthmus.features.pictures import Picture
from isthmus.features.structure_statistics import fit_structure, structure_values

from .detectors import Fitted, Pixels, fit_untrained

SIZES = ((120, 140), (120, 120), (150, 130))


def part(seed: int, channels: int) -> Pixels:
    """A bright plate with dark bars, which lie across in every other one, of another size than the next."""
    random = np.random.default_rng(seed)
    height, width = SIZES[seed % 3]
    pixels = random.normal(random.uniform(0.55, 0.65), 0.02, (height, width, channels))
    for bar in (0.25, 0.5, 0.75):
        if seed % 2:
            pixels[round(bar * height)] -= 0.25
        else:
            pixels[:, round(bar * width)] -= 0.25
    return np.asarray(pixels.clip(0, 1), dtype=np.float32)


@pytest.fixture(scope="module", params=[1, 3])
def fitted(request: pytest.FixtureRequest) -> Fitted:
    """Fitted to parts of two families; the network has learned nothing."""
    return fit_untrained("structure", [part(seed, request.param) for seed in range(180)])


def damage(seed: int, channels: int, kind: str) -> tuple[Pixels, tuple[int, int]]:
    """A part with a defect, and its middle."""
    pixels = part(seed, channels)
    height, width = pixels.shape[:2]
    row, column = height * 5 // 8, width * 5 // 8
    if kind == "dark":
        return pixels * np.float32(0.6), (row, column)
    if kind == "bright":
        return (pixels * np.float32(1.6)).clip(0, 1), (row, column)
    if kind == "area":
        pixels[row - 10 : row + 10, column - 10 : column + 10] -= np.float32(0.15)
    elif kind == "crack":
        for away in range(-12, 13):
            pixels[row + away, column + away] -= np.float32(0.2)
    else:  # a bar of the other family
        pixels[row - 12 : row + 12, column] -= np.float32(0.25 * (seed % 2))
        pixels[row, column - 12 : column + 12] -= np.float32(0.25 * (1 - seed % 2))
    return pixels, (row, column)


@pytest.mark.parametrize("kind", ["dark", "bright", "area", "crack", "bar"])
def test_what_good_pictures_of_the_family_have_not_is_flagged_and_placed(fitted: Fitted, kind: str) -> None:
    model, extractor, detector = fitted
    damaged = [damage(seed, model.channels, kind) for seed in range(200, 220)]
    maps = list(map_with(model, extractor, detector, [Picture(pixels) for pixels, _ in damaged]))
    assert np.mean([picture_map.score > detector.threshold for picture_map in maps]) >= 0.9
    if kind in ("area", "crack", "bar"):
        places = [np.unravel_index(picture_map.heat.argmax(), picture_map.heat.shape) for picture_map in maps]
        away = [
            np.hypot((row + 0.5) / CELLS - y / pixels.shape[0], (column + 0.5) / CELLS - x / pixels.shape[1])
            for (row, column), (pixels, (y, x)) in zip(places, damaged, strict=True)
        ]
        assert np.median(away) < 0.15


def test_dark_pictures_are_more_unusual_than_equally_bright_ones(fitted: Fitted) -> None:
    model, extractor, detector = fitted
    pictures = [Picture(part(200, model.channels) * np.float32(factor)) for factor in (0.75, 1.0, 1 / 0.75)]
    dark, usual, bright = (result.score for result in map_with(model, extractor, detector, pictures))
    assert dark > bright > usual


def test_good_parts_are_flagged_as_often_as_asked(fitted: Fitted) -> None:
    model, extractor, detector = fitted
    good = [Picture(part(seed, model.channels)) for seed in range(1000, 1200)]
    scores = [picture_map.score for picture_map in map_with(model, extractor, detector, good)]
    assert np.mean(np.array(scores) > detector.threshold) <= 0.10


def test_a_crack_across_differs_from_one_along() -> None:
    """Lines of one direction raise the strength of this direction most."""
    y, x = np.mgrid[:60, :60]
    for direction, line in enumerate((x == 30, y == 30, x + y == 59, x == y)):
        picture = torch.full((1, 1, 60, 60), 0.6)
        picture[0, 0, torch.from_numpy(line)] = 0.3
        strengths = read_lines(picture)[0, :4].mean((1, 2))
        assert int(strengths.argmax()) == direction


def test_pictures_of_one_pixel_and_of_one_value_have_a_score(fitted: Fitted) -> None:
    model, extractor, detector = fitted
    for shape in ((1, 1), (3, 70), (31, 29)):
        flat = np.full((*shape, model.channels), 0.5, np.float32)
        result = next(iter(map_with(model, extractor, detector, [Picture(flat)])))
        assert np.isfinite(result.heat).all() and result.heat.shape == (CELLS, CELLS)


def test_identical_pictures_and_black_ones_can_be_fitted() -> None:
    for rows in (torch.zeros(3, 10, CELLS, CELLS), torch.full((1, 10, CELLS, CELLS), 0.5)):
        tensors = fit_structure(rows, 0)
        assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values())
        assert np.isfinite(structure_values(tensors, rows)).all()


def test_memory_of_many_pictures_is_that_of_their_rows() -> None:
    """No tensor is larger than the rows, such as one of a root for each picture."""
    sizes: list[int] = []

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.numel() * result.element_size())
            return result

    rows = torch.rand(1500, 10, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    with Recorder():  # type: ignore[no-untyped-call]
        tensors = fit_structure(rows, 0)
        values = structure_values(tensors, rows)
    assert len(tensors["centres"]) == 8
    assert max(sizes) <= rows.numel() * rows.element_size()
    few = [structure_values(tensors, part) for part in rows.split(700)]
    np.testing.assert_allclose(values, np.concatenate(few), rtol=1e-9)
