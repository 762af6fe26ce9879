"""Holding out by content: no picture on both sides, whatever the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import UsageError
from isthmus.images.subsets import hold_out

from .test_store import named

VALUES = st.lists(st.integers(0, 30), min_size=1, max_size=60)


def of(values: list[int]) -> object:
    return named(np.array(values, np.uint8).reshape(-1, 1, 1, 1))


@given(VALUES, st.floats(0, 0.99), st.integers(0, 2**63), st.integers(1, 40))
def test_both_sides_together_are_the_set_and_share_no_picture(
    values: list[int], fraction: float, seed: int, limit: int
) -> None:
    train, held = hold_out(of(values), fraction, seed=seed, limit=limit)  # type: ignore[arg-type]
    assert sorted([*train, *held]) == list(range(len(values)))
    array = np.array(values)
    assert not set(array[train]) & set(array[held])
    assert len(train) > 0
    if len(set(values)) > 1 and fraction > 0:
        assert len(held) > 0
        copies = np.bincount(array).max()
        assert len(held) <= max(limit, copies)
    else:
        assert len(held) == 0


@given(VALUES, st.randoms())
def test_order_plays_no_part(values: list[int], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    sides = [{v[i] for i in hold_out(of(v), 0.3)[1]} for v in (values, shuffled)]  # type: ignore[arg-type]
    assert sides[0] == sides[1]


def test_the_fraction_is_met_and_the_seed_matters() -> None:
    images = named(np.arange(10_000, dtype=np.uint16).reshape(-1, 1, 1, 1))
    sides = [hold_out(images, 0.1, seed=seed)[1] for seed in (0, 0, 1)]
    assert len(sides[0]) == 1000
    assert np.array_equal(sides[0], sides[1])
    assert len(np.intersect1d(sides[0], sides[2])) < 200  # by chance 100
    assert len(hold_out(images, 0.5, limit=17)[1]) == 17


def test_more_images_move_few_to_the_other_side() -> None:
    numbers = np.arange(11_000, dtype=np.uint16).reshape(-1, 1, 1, 1)
    before = set(hold_out(named(numbers[:10_000]), 0.1)[1])
    after = set(hold_out(named(numbers), 0.1)[1])
    assert len(before & after) > 0.9 * len(before)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2, float("nan")])
def test_impossible_fractions(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        hold_out(of([1, 2]), fraction)  # type: ignore[arg-type]
