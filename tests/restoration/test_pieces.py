"""Pieces cover every pixel once, and what comes out is what one pass over the whole would give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import isthmus
from isthmus.metrics.noise import Noise
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipes import RECIPES
from isthmus.restoration import pieces as tiling
from isthmus.restoration.denoising_pass import denoise_tensor
from isthmus.restoration.network_pass import widened
from isthmus.restoration.pieces import can_be_cut, pieces

from .conftest import THIN, noisy, picture


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 4), st.integers(0, 3))
def test_every_pixel_is_kept_once_with_its_margin(height: int, width: int, inner: int, margin: int) -> None:
    inner, margin = 16 * inner, 16 * margin
    count = np.zeros((height, width), int)
    for piece in pieces(height, width, inner=inner, margin=margin):
        count[piece.inner] += 1
        outer = count[piece.outer]
        assert max(outer.shape) <= inner + 2 * margin or outer.shape == (height, width)
        assert np.shares_memory(outer[piece.kept], count[piece.inner])
        assert outer[piece.kept].shape == count[piece.inner].shape
        for axis, extent in enumerate((height, width)):
            outer_span, inner_span = piece.outer[axis], piece.inner[axis]
            assert outer_span.start % 16 == 0
            assert outer_span.start == 0 or inner_span.start - outer_span.start >= margin
            assert outer_span.stop == extent or outer_span.stop - inner_span.stop >= margin
    assert (count == 1).all()


@pytest.mark.parametrize("size", [(200, 131), (97, 300)])
def test_seams_cannot_be_measured(
    rough: Autoencoder, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In bfloat16 a convolution's result depends on the size of its image by a rounding.
    monkeypatch.setattr("isthmus.restoration.network_pass.multiplies_bfloat16", lambda _: False)
    image = noisy(picture(*size), 20)
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    full_result = denoise_tensor(rough, batch, Noise(20.0))[0, 0].numpy()
    assert np.abs(full_result - image[..., 0].clip(0, 1)).max() > 0.2  # this network does change the image
    monkeypatch.setattr(tiling, "INNER", 48)
    monkeypatch.setattr(tiling.pieces, "__kwdefaults__", {"inner": 48, "margin": 48})
    in_parts = isthmus.denoise(image[..., 0], 20, rough)
    np.testing.assert_allclose(in_parts, full_result, atol=2e-5)


def test_only_networks_that_look_the_same_everywhere_are_given_pieces() -> None:
    base = RECIPES["denoising"]().with_settings(THIN)
    narrow = ["backbone.skips=false", "backbone.predicts=image"]
    for settings, expected in (
        ([], True),
        (["positions=coordinates"], False),
        ([*narrow, "code=8"], False),
        (narrow, True),
    ):
        model = build(base.with_settings(settings), channels=1, size=(32, 32))
        assert can_be_cut(model) == expected, settings


@pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 24), (17, 30)])
def test_images_are_widened_by_their_mirror_image(size: tuple[int, int]) -> None:
    image = torch.rand(1, 2, *size)
    wide = widened(image, 8)
    height, width = size
    assert wide.shape[-2] % 8 == wide.shape[-1] % 8 == 0
    assert wide.shape[-2] - height < 8
    assert torch.equal(wide[..., :height, :width], image)
    if width == 30:
        assert torch.equal(wide[..., :height, 30:], image[..., 27:29].flip(-1))
