"""Pictures as GIF holds them: exact where their colours are few, and without much memory."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from isthmus.api.restored_files import _BYTES_PER_PX
from isthmus.images.gif_frames import as_gif_frame, harden_alpha, lost_in_gif

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 255, 256, 257])
def test_few_colours_are_exact_and_more_are_named(channels: int, count: int) -> None:
    is_gray, has_alpha = channels < 3, channels in (2, 4)
    if is_gray and count > 256:
        return
    colours = np.arange(count)[:, None] * (np.array([1]) if is_gray else np.array([1, 7, 201])) % 256
    if count == 257:
        colours[-1] = [0, 0, 1]
    assert len(np.unique(colours, axis=0)) == count
    places = np.concatenate([RANDOM.integers(0, count, 700 * 500 - count), np.arange(count)])
    pixels = colours[places].reshape(700, 500, -1).astype(np.uint8)
    if has_alpha:
        opacity = np.where(np.arange(700)[:, None, None] < 100, 0, 255).repeat(500, 1).astype(np.uint8)
        pixels = np.concatenate([pixels, opacity], axis=2)
    is_lost = count > (255 if has_alpha else 256)
    assert bool(lost_in_gif(pixels)) == is_lost
    stream = io.BytesIO()
    as_gif_frame(pixels).save(stream, "GIF")
    read_back = np.asarray(Image.open(stream).convert("RGBA"))
    right = np.asarray(Image.fromarray(pixels.squeeze()).convert("RGBA"))
    assert np.array_equal(read_back[..., 3], right[..., 3])
    is_visible = right[..., 3] > 0
    assert np.array_equal(read_back[is_visible], right[is_visible]) == (not is_lost)


@pytest.mark.parametrize("few", [False, True])
def test_less_memory_is_taken_than_is_reserved(*, few: bool) -> None:
    pixels = RANDOM.integers(0, 4 if few else 256, (1500, 1400, 4), dtype=np.uint8)
    tracemalloc.start()
    try:
        lost_in_gif(pixels)
        as_gif_frame(harden_alpha(pixels))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / pixels[..., 0].size < _BYTES_PER_PX / 2
