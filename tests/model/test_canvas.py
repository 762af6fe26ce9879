"""Images go onto the canvas of a vector code and back; a grid code has none."""

from __future__ import annotations

import torch

from isthmus.model.canvas import Canvas
from isthmus.model.geometry import Geometry

IMAGES = torch.linspace(0, 1, 2 * 12 * 20).view(2, 1, 12, 20)


def test_a_vector_code_works_at_one_size() -> None:
    canvas = Canvas((8, 8), Geometry.parse("3"))
    inside = canvas.fit(IMAGES)
    assert (
        inside.shape[2:] == canvas.size_inside((12, 20)) == canvas.size_of_code(torch.zeros(2, 3)) == (8, 8)
    )
    restored = canvas.restore(inside, (12, 20))
    assert restored.shape == IMAGES.shape and (restored - IMAGES).abs().mean() < 0.02
    assert canvas.restore(inside, (8, 8)) is inside


def test_restored_images_stay_in_range() -> None:
    canvas = Canvas((8, 8), Geometry.parse("3"))
    assert canvas.restore(torch.full((1, 1, 8, 8), 1.5), (12, 20)).max() == 1


def test_a_grid_code_works_at_any_size() -> None:
    canvas = Canvas((8, 8), Geometry.parse("3@4"))
    assert canvas.fit(IMAGES) is IMAGES
    assert canvas.size_inside((12, 20)) == canvas.size_of_code(torch.zeros(2, 3, 3, 5)) == (12, 20)
