"""The corruption `jpeg`: chroma, gray, blocks that begin anywhere, images saved twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from isthmus.metrics.noise_structure import has_jpeg_blocks, luminance
from isthmus.model import axes
from isthmus.model.corruptions import code_array, compress_as_jpeg

PHOTO = np.ascontiguousarray(data.coffee()[60:188, 150:278])
IMAGES = (torch.from_numpy(PHOTO).permute(2, 0, 1).float() / 255).expand(6, -1, -1, -1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def to_uint8(image: Tensor) -> np.ndarray:
    return (image.permute(1, 2, 0) * 255).round().byte().numpy()


def test_colour_is_what_pillow_decodes() -> None:
    for how, full in (
        (axes.Jpeg(quality=30, sampling="4:2:0"), False),
        (axes.Jpeg(quality=30, sampling="4:4:4"), True),
    ):
        corrupted = compress_as_jpeg(IMAGES, how, generator())
        assert np.array_equal(to_uint8(corrupted.input[0]), code_array(PHOTO, 30, full_chroma=full))
        assert torch.equal(corrupted.target, IMAGES)
    assert not np.array_equal(code_array(PHOTO, 30), code_array(PHOTO, 30, full_chroma=True))


def test_both_samplings_and_all_qualities_are_drawn() -> None:
    how = axes.Jpeg(quality=10, quality_high=90, sampling="both")
    many = compress_as_jpeg(IMAGES[:1].expand(60, -1, -1, -1), how, generator())
    errors = (many.input - many.target).square().mean((1, 2, 3))
    assert float(errors.max() / errors.min()) > 4


def test_gray_images_have_gray_targets_in_either_range() -> None:
    how = axes.Jpeg(quality=40, gray=1.0)
    corrupted = compress_as_jpeg(IMAGES[:1].expand(20, -1, -1, -1), how, generator())
    for part in (corrupted.input, corrupted.target):
        assert (part == part[:, :1]).all()
    darkest = {round(float(image.min()) * 255) for image in corrupted.target}
    assert len(darkest) == 2 and max(darkest) >= 16


@pytest.mark.parametrize(("shifted", "begins"), [(0.0, True), (1.0, False)])
def test_blocks_begin_at_the_first_sample_or_anywhere(shifted: float, begins: bool) -> None:
    how = axes.Jpeg(quality=60, shifted=shifted)
    corrupted = compress_as_jpeg(IMAGES[:1].expand(8, -1, -1, -1), how, generator())
    aligned = []
    for image in corrupted.input:
        luma = luminance(to_uint8(image), 255)
        assert has_jpeg_blocks(luma)
        # Coding an image again with the same blocks and tables changes little.
        again = code_array(to_uint8(image), 60).astype(float)
        aligned.append(np.abs(again - to_uint8(image)).mean() < 0.6)
    assert np.mean(aligned) == 1 if begins else np.mean(aligned) < 0.5


def test_saved_twice_is_worse() -> None:
    once = compress_as_jpeg(IMAGES, axes.Jpeg(quality=60), generator())
    twice = compress_as_jpeg(IMAGES, axes.Jpeg(quality=60, twice=1.0), generator())
    errors = [float((c.input - c.target).square().mean()) for c in (once, twice)]
    assert errors[1] > 1.1 * errors[0]


def test_a_step_can_be_repeated() -> None:
    how = axes.Jpeg(quality=10, quality_high=90, sampling="both", gray=0.5, shifted=0.5, twice=0.5)
    first, second = (compress_as_jpeg(IMAGES, how, generator(4)) for _ in range(2))
    assert torch.equal(first.input, second.input) and torch.equal(first.target, second.target)
    other = compress_as_jpeg(IMAGES, how, generator(5))
    assert not torch.equal(first.input, other.input)


def test_small_images_of_any_number_of_channels() -> None:
    how = axes.Jpeg(quality=50, sampling="both", gray=0.5, shifted=1.0)
    for shape in ((2, 1, 5, 3), (2, 2, 9, 9), (2, 3, 1, 1)):
        corrupted = compress_as_jpeg(torch.rand(shape, generator=generator()), how, generator())
        assert corrupted.input.shape == corrupted.target.shape == shape
