"""A network that is built says how much it wants before it gets it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isthmus.model.allocation import SPARE_LEAST, TooLargeError, at_most, room_for


def test_what_fits_is_built_and_what_does_not_is_not() -> None:
    with at_most(200):
        layer = nn.Linear(10, 10)
    assert layer.weight.shape == (10, 10)
    with at_most(200), pytest.raises(TooLargeError):
        nn.Linear(10**6, 10**6)  # 4 terabytes: that this ends at all is the test


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.zeros(10, 21),
        lambda: torch.ones((10, 21)),
        lambda: torch.full((10, 21), 1.0),
        lambda: torch.randn(size=(10, 21)),
        lambda: torch.eye(15),
        lambda: torch.arange(201),
        lambda: torch.linspace(0, 1, 201),
        lambda: torch.zeros(10).repeat(21, 1),
    ],
)
def test_every_way_to_ask_counts(make: object) -> None:
    assert callable(make)
    with at_most(230):
        make()
    with at_most(200), pytest.raises(TooLargeError):
        make()


def test_the_parts_are_added() -> None:
    with at_most(250), pytest.raises(TooLargeError):
        nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 10))


def test_room_for_tensors_leaves_random_numbers_alone() -> None:
    before = torch.random.get_rng_state()
    with room_for([torch.zeros(10)]):
        nn.Linear(10, 10)
    assert torch.equal(torch.random.get_rng_state(), before)
    with room_for([torch.zeros(10)]), pytest.raises(TooLargeError):
        torch.empty(SPARE_LEAST + 41)
