"""What goes in as one kind comes back as that kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isthmus.errors import DataError
from isthmus.images.array_format import to_batch
from isthmus.images.sample_range import NOISY

SHAPES = hnp.array_shapes(min_dims=2, max_dims=4, max_side=6)
LEVELS = st.sampled_from([np.uint8, np.uint16])


@given(LEVELS.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)))
def test_integer_images_come_back_exactly(array: np.ndarray) -> None:
    batch, kind = to_batch(array)
    assert batch.dtype == torch.float32
    assert batch.min() >= 0
    assert batch.max() <= 1
    back = kind.restore(batch)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


@given(
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: hnp.arrays(dtype, SHAPES, elements=st.floats(-2, 3, width=16))
    )
)
def test_floats_come_back_in_their_type_and_unclipped(array: np.ndarray) -> None:
    batch, kind = to_batch(array, bounds=NOISY)
    back = kind.restore(batch)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float64])
def test_tensors_come_back_as_tensors(dtype: torch.dtype) -> None:
    scale = 1 / 32 if dtype.is_floating_point else 1
    tensor = (torch.arange(24) * scale).view(2, 3, 2, 2).to(dtype)
    batch, kind = to_batch(tensor)
    assert batch.shape == tensor.shape
    assert batch.is_contiguous(memory_format=torch.channels_last)
    back = kind.restore(batch)
    assert back.dtype == dtype
    assert back.to(torch.float64).tolist() == tensor.to(torch.float64).tolist()


@pytest.mark.parametrize(
    ("shape", "many", "batch"),
    [
        ((5, 6), None, (1, 1, 5, 6)),
        ((5, 6), False, (1, 1, 5, 6)),
        ((5, 6, 3), None, (1, 3, 5, 6)),
        ((5, 6, 3), True, (5, 1, 6, 3)),
        ((5, 6, 2), None, (5, 1, 6, 2)),
        ((5, 6, 7), None, (5, 1, 6, 7)),
        ((5, 6, 7), False, (1, 7, 5, 6)),
        ((2, 5, 6, 7), None, (2, 7, 5, 6)),
        ((2, 5, 6, 7), True, (2, 7, 5, 6)),
    ],
)
def test_layouts(shape: tuple[int, ...], many: bool | None, batch: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    result, kind = to_batch(array, many=many)
    assert result.shape == batch
    assert np.array_equal(kind.restore(result), array)


@pytest.mark.parametrize(
    ("shape", "many"), [((5, 6), True), ((2, 5, 6, 3), False), ((5,), None), ((1,) * 5, None)]
)
def test_layouts_that_cannot_be(shape: tuple[int, ...], many: bool | None) -> None:
    with pytest.raises(DataError, match="expected"):
        to_batch(np.zeros(shape, np.uint8), many=many)


def test_results_outside_the_range_are_clipped_and_rounded_for_integers() -> None:
    _, kind = to_batch(np.zeros((1, 5), np.uint8))
    values = torch.tensor([-0.5, 0.4 / 255, 0.6 / 255, 0.9999, 7.0]).view(1, 1, 1, 5)
    assert kind.restore(values).tolist() == [[0, 0, 1, 255, 255]]


def test_results_may_have_other_sizes_and_channels() -> None:
    _, kind = to_batch(np.zeros((4, 5), np.uint8))
    assert kind.restore(torch.rand(1, 1, 8, 10)).shape == (8, 10)
    assert kind.restore(torch.rand(1, 3, 4, 5)).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="one image was given, 2 came out"):
        kind.restore(torch.rand(2, 1, 4, 5))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match=r"hold (NaN|infinity)"):
        to_batch(np.array([[0, bad]]))
    with pytest.raises(DataError, match=r"hold (NaN|infinity)"):
        to_batch(torch.tensor([0, bad]).view(1, 1, 1, 2))


@pytest.mark.parametrize(
    "value", [np.zeros((2, 2), np.int64), torch.zeros(1, 1, 2, 2, dtype=torch.int64), [["a"]]]
)
def test_other_samples_are_refused(value: object) -> None:
    with pytest.raises(DataError, match="uint8, uint16, bool, or floats"):
        to_batch(value)


def test_empty_images_are_refused() -> None:
    with pytest.raises(DataError, match="no pixels"):
        to_batch(np.zeros((0, 4, 4), np.uint8))


def test_views_and_read_only_arrays_are_taken() -> None:
    array = np.arange(30, dtype=np.uint8).reshape(5, 6)
    array.flags.writeable = False
    for view in (array, array[::-1], array.T, array[:, ::2]):
        batch, kind = to_batch(view)
        assert np.array_equal(kind.restore(batch), view)


def test_gradients_pass_and_the_input_is_never_written_to() -> None:
    tensor = torch.rand(2, 3, 4, 5, requires_grad=True)
    batch, kind = to_batch(tensor)
    kind.restore(batch * 2).sum().backward()
    assert tensor.grad is not None
    assert torch.equal(tensor.grad, torch.full_like(tensor, 2))
