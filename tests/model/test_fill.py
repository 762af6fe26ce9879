"""The smooth first guess for missing pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.model.masks import cells, fill, fill_cells

from .cases import generator, pictures


@given(st.integers(1, 70), st.integers(1, 70), st.floats(0, 0.99), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_visible_pixels_stay_and_the_rest_lies_between_them(
    height: int, width: int, share: float, seed: int
) -> None:
    images = torch.rand(2, 3, height, width, generator=generator(seed))
    visible = torch.rand(2, 1, height, width, generator=generator(seed + 1)) >= share
    visible[:, :, 0, 0] = True
    filled = fill(images.where(visible, torch.tensor(9.0)), visible)
    assert torch.equal(filled[visible.expand_as(images)], images[visible.expand_as(images)])
    visible_pixels = images.where(visible, torch.tensor(torch.nan))
    for filled_image, visible_image in zip(filled, visible_pixels, strict=True):
        assert float(filled_image.min()) >= float(visible_image.nan_to_num(9).min()) - 1e-5
        assert float(filled_image.max()) <= float(visible_image.nan_to_num(-9).max()) + 1e-5


def test_a_constant_image_is_restored_exactly_and_a_smooth_one_nearly() -> None:
    visible = torch.rand(1, 1, 50, 61, generator=generator()) > 0.8
    constant = torch.full((1, 1, 50, 61), 0.25)
    torch.testing.assert_close(fill(constant, visible), constant)
    smooth = pictures(1, (50, 61))
    assert float((fill(smooth, visible) - smooth).abs().mean()) < 0.01


def test_a_piece_is_filled_as_in_the_whole_when_it_is_told_what_lies_beyond() -> None:
    images = pictures(1, (512, 512))
    visible = torch.ones(1, 1, 512, 512, dtype=torch.bool)
    visible[..., 100:400, 90:430] = False
    at_once = fill(images, visible)
    averages, has_visible = cells(images, visible)
    beyond = fill_cells(averages, has_visible)
    piece = fill(images[..., 64:448, 64:448], visible[..., 64:448, 64:448], beyond[..., 1:7, 1:7])
    inner = slice(128, 256)
    torch.testing.assert_close(piece[..., inner, inner], at_once[..., 64:448, 64:448][..., inner, inner])


def test_nothing_visible_gives_zero() -> None:
    filled = fill(torch.rand(1, 1, 9, 9), torch.zeros(1, 1, 9, 9, dtype=torch.bool))
    assert filled.abs().max() == pytest.approx(0)


def test_missing_pixels_are_nearly_the_means_of_their_neighbours() -> None:
    image = pictures(1, (64, 64))[0, 0]
    hidden = torch.rand(64, 64, generator=generator()) < 0.7
    filled = fill(image[None, None], ~hidden[None, None])[0, 0]
    around = torch.nn.functional.pad(filled[None, None], (1, 1, 1, 1), mode="replicate")[0, 0]
    mean = (around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]) / 4
    assert float((mean - filled).abs()[hidden].max()) < 0.01
