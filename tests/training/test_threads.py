"""Trainings with fixed seeds give the same weights in threads, side by side, as one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

import isthmus
from isthmus.generation.dynamics import fit_dynamics
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.seeded import seeded
from isthmus.model.tensors import channels_last
from isthmus.training.classifier import train_classifier

from .cases import pictures, small, train

Weights = dict[str, Tensor]

SEEDS = range(4)


def trained_model(seed: int) -> Weights:
    return train(pictures(), small("variational"), steps=4, seed=seed).state_dict()


def trained_classifier(seed: int) -> Weights:
    images = ImageSet(pictures(24), tuple(map(str, range(24))), np.arange(24) % 2, ("a", "b"))
    return train_classifier(images, steps=4, batch=8, seed=seed).state_dict()


def trained_dynamics(seed: int) -> Weights:
    model = build(small("dense"), channels=1, size=(12, 12), seed=seed)
    codes = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    return fit_dynamics(model, [codes], steps=3, batch=4, width=8, seed=seed).network.state_dict()


def test_threads_with_one_seed_agree() -> None:
    def in_worker(_number: int) -> Weights:
        return isthmus.train(pictures(), recipe=small("conv", code="8"), steps=6, seed=5).state_dict()

    expected = in_worker(0)
    with ThreadPoolExecutor(3) as pool:
        for weights in pool.map(in_worker, range(3)):
            assert all(torch.equal(weights[name], value) for name, value in expected.items())


@pytest.mark.parametrize("fit", [trained_model, trained_classifier, trained_dynamics])
def test_trainings_in_threads_equal_those_one_after_the_other(fit: Callable[[int], Weights]) -> None:
    def in_worker(seed: int) -> Weights:
        torch.set_num_threads(1)  # of the thread that calls it
        return fit(seed)

    alone = [in_worker(seed) for seed in SEEDS]
    torch.manual_seed(77)
    before = torch.get_rng_state()
    with ThreadPoolExecutor(len(SEEDS)) as pool:
        together = list(pool.map(in_worker, SEEDS))
    assert torch.equal(torch.get_rng_state(), before), "torch's global generator was used"
    for first, other in zip(alone, together, strict=True):
        assert all(torch.equal(first[name], other[name]) for name in first)
    assert any(not torch.equal(alone[0][name], alone[1][name]) for name in alone[0])


@pytest.mark.parametrize(
    ("name", "code"),
    [("conv", "8"), ("recurrent", None), ("attention", "4@4"), ("codec", None), ("adversarial", None)],
)
def test_first_weights_are_those_of_torchs_own_generator(name: str, code: str | None) -> None:
    """Files and numbers of version 0.1 were made with `torch.manual_seed`."""
    recipe = small(name, code=code)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        by_torch = channels_last(Autoencoder(recipe, channels=1, size=(12, 12))).state_dict()
    own = build(recipe, channels=1, size=(12, 12), seed=5).state_dict()
    assert all(torch.equal(by_torch[key], own[key]) for key in by_torch)


def test_numbers_drawn_within_leave_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    with seeded(3) as generator:
        inside = torch.rand(5), torch.randperm(9), torch.empty(4).normal_()
        named = torch.rand(5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(inside[0], named)
    assert not torch.equal(torch.rand(5, generator=generator), named)
