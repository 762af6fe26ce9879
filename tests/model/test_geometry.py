"""Code shapes: how they are written, and what they mean for an image."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import UsageError
from isthmus.model.geometry import Geometry

STRIDES = [1, 2, 4, 8, 16, 32, 64]
geometries = st.builds(Geometry, st.integers(1, 999_999), st.none() | st.sampled_from(STRIDES))


@given(geometries)
def test_writing_and_reading_are_inverse(geometry: Geometry) -> None:
    assert Geometry.parse(str(geometry)) == geometry
    assert Geometry.parse(f" {str(geometry).replace('@', ' @ ')} ") == geometry


@given(geometries, st.integers(1, 500), st.integers(1, 500))
def test_a_grid_covers_the_image_and_no_row_more(geometry: Geometry, height: int, width: int) -> None:
    shape = geometry.shape((height, width))
    assert geometry.numbers((height, width)) == math.prod(shape)
    if geometry.stride is None:
        assert shape == (geometry.channels,)
    else:
        _, rows, columns = shape
        assert (rows - 1) * geometry.stride < height <= rows * geometry.stride
        assert (columns - 1) * geometry.stride < width <= columns * geometry.stride


@pytest.mark.parametrize(
    "text",
    ["", "0", "-3", "64x8", "64@", "@8", "64@3", "64@0", "64@128", "6.4", "auto", "1e3", "64@8@8", "1" * 9],
)
def test_anything_else_is_refused_with_an_example_or_the_rule(text: str) -> None:
    with pytest.raises(UsageError, match=r"32@8|power of two"):
        Geometry.parse(text)


@given(st.text(max_size=10))
def test_no_text_raises_anything_but_a_usage_error(text: str) -> None:
    try:
        assert Geometry.parse(text).channels >= 1
    except UsageError as error:
        assert "\n" not in error.message or "\n" in text
