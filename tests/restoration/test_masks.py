"""What is missing: said by a picture, a colour, transparency, or found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from isthmus.errors import DataError, UsageError
from isthmus.restoration import masks


def test_white_of_a_picture_is_missing(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((9, 11)) < 0.5
    Image.fromarray(mask).save(tmp_path / "one-bit.png")
    Image.fromarray(np.stack([mask * np.uint8(255)] * 3, -1)).save(tmp_path / "colour.png")
    for name in ("one-bit.png", "colour.png"):
        assert np.array_equal(masks.from_picture(tmp_path / name), mask)


def test_an_error_of_a_mask_names_the_mask(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_text("no image")
    with pytest.raises(DataError, match=r"^its mask .*mask\.png: "):
        masks.from_picture(tmp_path / "mask.png")


@pytest.mark.parametrize("text", ["#ff0080", "FF0080", "255,0,128", " 255, 0 ,128"])
def test_colours_are_read(text: str) -> None:
    assert masks.parse_colour(text) == (255, 0, 128)


@pytest.mark.parametrize("text", ["", "#ff00", "red", "1,2", "256,0,0", "-1,0,0"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a colour"):
        masks.parse_colour(text)


def test_pixels_of_a_colour_within_a_tolerance() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[0, 0], image[1, 2] = (255, 0, 255), (250, 4, 255)
    assert masks.of_colour(image, (255, 0, 255)).sum() == 1
    assert masks.of_colour(image, (255, 0, 255), tolerance=5).sum() == 2
    assert masks.of_colour(image.astype(np.uint16) * 257, (255, 0, 255)).sum() == 1
    assert masks.of_colour(image[..., 1:2], (4, 4, 4)).sum() == 1
    with pytest.raises(DataError, match="gray"):
        masks.of_colour(image[..., :1], (255, 0, 255))


def test_transparency_says_what_is_missing() -> None:
    image = np.full((2, 2, 4), 255, np.uint8)
    image[0, 1, 3], image[1, 1, 3] = 0, 100
    assert np.array_equal(masks.of_alpha(image), [[False, True], [False, True]])
    with pytest.raises(DataError, match="no transparency"):
        masks.of_alpha(image[..., :3])


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_dead_pixels_are_found_in_a_photograph_and_little_else(sigma: float) -> None:
    random = np.random.default_rng(0)
    photo = data.camera()[:400, :400, None] / 255
    photo = (photo + random.normal(size=photo.shape) * sigma / 255).clip(0, 1).astype(np.float32)
    dead = random.random((400, 400)) < 0.001
    photo[dead] = np.where(photo[dead] < 0.5, 1.0, 0.0)
    found = masks.dead_pixels(photo)
    assert (found & dead).sum() > 0.95 * dead.sum()
    assert (found & ~dead).sum() < 0.003 * dead.size


def test_lines_edges_and_flat_places_are_not_dead() -> None:
    image = np.zeros((30, 30, 1), np.uint8)
    image[10], image[:, 20:] = 255, 255
    assert not masks.dead_pixels(image).any()
