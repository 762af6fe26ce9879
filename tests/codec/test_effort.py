"""Effort: smaller files at equal fidelity, read like all others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scripts import load_script

import isthmus
from isthmus.codec import container
from isthmus.codec.decoding import decode_picture
from isthmus.codec.encoding import encode_picture_at
from isthmus.codec.models import codec_for
from isthmus.codec.picture import read_picture
from isthmus.codec.ready import Codec
from isthmus.codec.refinement import bits_per_error
from isthmus.errors import UsageError

Pixels = npt.NDArray[np.uint8]
bd_rate = load_script("benchmarks/bd_rate.py").bd_rate


def curve(image: Pixels, codec: Codec, effort: int) -> list[tuple[float, float]]:
    """(bits per pixel, dB) of whole files over the range of qualities."""
    points = []
    for quality in (1000, 3500, 6000, 8500):
        data = encode_picture_at(read_picture(image), codec, quality, effort=effort).data
        again = decode_picture(container.read_container(data), codec).picture.array()
        error = np.square(image.astype(np.float64) - again).mean()
        points.append((8 * len(data) / image[..., 0].size, 10 * np.log10(255**2 / error)))
    return points


@pytest.mark.slow
def test_effort_makes_files_smaller_at_equal_fidelity(photo: Pixels) -> None:
    shipped, image = codec_for(None), photo[60:188, 100:260]
    assert bd_rate(curve(image, shipped, 6), curve(image, shipped, 0)) < -0.4  # per cent of the bytes


@pytest.mark.parametrize("quality", [2000, 9000])
def test_effort_never_makes_a_worse_file(codec: Codec, photo: Pixels, quality: int) -> None:
    image = photo[60:140, 100:200]

    def cost(effort: int) -> float:
        data = encode_picture_at(read_picture(image), codec, quality, effort=effort).data
        again = decode_picture(container.read_container(data), codec).picture.array()
        error = np.square((image.astype(np.float64) - again) / 255).sum()
        return 8 * len(data) + bits_per_error(codec.model, quality / 100) * float(error)

    assert cost(4) <= cost(0) + 1e-6


def test_effort_gives_the_same_file_every_time(codec: Codec, photo: Pixels) -> None:
    first, second = (isthmus.compress(photo[:64, :80], model=codec.model, effort=3) for _ in range(2))
    assert first == second


def test_effort_works_tile_by_tile_and_at_the_edges(codec: Codec, photo: Pixels) -> None:
    image = photo[60:165, 100:237]
    made = container.read_container(
        encode_picture_at(read_picture(image), codec, 5000, tile=64, effort=2).data
    )
    assert made.header.tiles == 6
    again = decode_picture(made, codec).picture.array()
    assert np.square(image.astype(np.float64) - again).mean() < 255**2 * 10**-2.6


def test_effort_keeps_to_the_rate_that_is_asked_for(codec: Codec, photo: Pixels) -> None:
    image = photo[60:124, 100:180]
    data = isthmus.compress(image, bpp=2.0, model=codec.model, effort=2)
    assert 8 * len(data) <= 2.0 * image.shape[0] * image.shape[1]


def test_effort_on_gray_pictures_of_a_colour_model(codec: Codec, photo: Pixels) -> None:
    gray = photo[:40, :40, 1]
    data = isthmus.compress(gray, model=codec.model, effort=2)
    assert isthmus.decompress(data, model=codec.model).shape == gray.shape


@pytest.mark.parametrize("effort", [-1, 101])
def test_effort_out_of_range_is_refused(photo: Pixels, effort: int) -> None:
    with pytest.raises(UsageError, match="effort"):
        isthmus.compress(photo, effort=effort)
