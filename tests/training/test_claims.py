"""Each family does what it is known for, against its plain twin; benchmarks/claims.py measures more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scripts import load_script
from torch import Tensor

import isthmus
from isthmus.evaluation.passes import iter_passes
from isthmus.images.store import ImageSet
from isthmus.metrics.set_distances import nearest_neighbour_accuracy, squared_mmd
from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipes import recipe
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model

pytestmark = pytest.mark.slow
SMALL = ("backbone=dense", "backbone.width=128", "optimiser.batch=32", "optimiser.ema=0.95")


@pytest.fixture(scope="module")
def sample() -> ImageSet:
    images: ImageSet = isthmus.read("fashion-sample")
    return images


def learned(sample: ImageSet, name: str, *settings: str, code: str = "16", steps: int = 300) -> Autoencoder:
    chosen = recipe(name).with_settings(settings)
    return train_model(
        sample.subset(range(2000)), TrainConfig(steps=steps, validation=0.0), recipe=chosen, code=code
    )


def unseen(sample: ImageSet, count: int = 500) -> Tensor:
    pixels = sample.stack(range(7000, 7000 + count)).astype(np.float32) / 255
    return torch.from_numpy(pixels).movedim(-1, 1).contiguous()


def error(model: Autoencoder, images: Tensor) -> float:
    with torch.no_grad():
        return float((model.reconstruct_batch(images) - images).square().mean())


def test_a_contractive_code_keeps_stiller_at_hardly_more_error(sample: ImageSet) -> None:
    images = unseen(sample)
    plain = learned(sample, "contractive", *SMALL[1:], "bottleneck=plain")
    tight = learned(sample, "contractive", *SMALL[1:], "bottleneck.weight=0.5")
    sensitivity = load_script("benchmarks/sensitivity.py").sensitivity
    before, after = sensitivity(plain, images), sensitivity(tight, images)
    assert after.jacobian < before.jacobian / 1.3
    assert after.shift < before.shift
    assert after.noise < before.noise
    assert error(tight, images) < 1.15 * error(plain, images)


def test_l0_ends_near_the_number_of_units_it_was_asked_for(sample: ImageSet) -> None:
    settings = ("bottleneck=l0", "bottleneck.active=12", "optimiser.rate=0.01")
    model = learned(sample, "sparse", *SMALL, *settings, code="48", steps=700)
    codes = model.encode_batch(unseen(sample)).detach()
    assert float((codes != 0).sum(1).float().mean()) == pytest.approx(12, rel=0.25)


def test_training_on_damage_helps_on_damage(sample: ImageSet) -> None:
    images = unseen(sample)
    hidden = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    damage = (
        "corruption=mask",
        "corruption.shape=pixels",
        "corruption.amount=0.5",
        "corruption.condition=false",
    )
    losses = []
    for settings in ((), damage):
        model = learned(sample, "conv", *SMALL, *settings, code="64")
        with torch.no_grad():
            losses.append(float((model.reconstruct_batch(images * ~hidden) - images).square().mean()))
    assert losses[1] < 0.5 * losses[0]


def test_an_adversarial_code_looks_like_its_prior(sample: ImageSet) -> None:
    images = unseen(sample, 600)
    prior = torch.randn(600, 4, generator=torch.Generator().manual_seed(0))
    losses = []
    for settings in (("critic=none",), ()):
        model = learned(sample, "adversarial", *SMALL, *settings, code="4", steps=500)
        codes = model.encode_batch(images).detach()
        if settings == ("critic=none",):  # scaled as anyone would scale it
            codes = (codes - codes.mean(0)) / codes.std(0)
        losses.append((squared_mmd(codes, prior), nearest_neighbour_accuracy(codes, prior)))
    assert losses[1][0] < losses[0][0]
    assert losses[1][1] < losses[0][1]


def test_a_variational_code_is_used(sample: ImageSet) -> None:
    model = learned(sample, "variational", *SMALL, steps=500)
    means = model.encode_batch(unseen(sample)).detach()
    assert int((means.var(0) > 0.01).sum()) >= 4


def test_attention_paints_hidden_patches(sample: ImageSet) -> None:
    settings = ("backbone.width=32", "backbone.depth=1", "optimiser.batch=32", "optimiser.ema=0.95")
    shown = sample.subset(range(7000, 7200))
    mask = axes.Mask(shape="patches", amount=0.25, condition=False)
    errors = []
    for corruption in (("corruption=none",), ()):
        model = learned(sample, "attention", *settings, *corruption, code="32", steps=500)
        total, hidden = 0.0, 0.0
        for batch_pass in iter_passes(model, shown, corruption=mask, seed=0):
            assert batch_pass.trace.corrupted.visible is not None
            missing = (~batch_pass.trace.corrupted.visible).float()
            total += float(((batch_pass.output - batch_pass.images).square() * missing).sum())
            hidden += float(missing.sum())
        errors.append(total / hidden)
    mean = torch.from_numpy(sample.stack(range(2000)).astype(np.float32).mean(0) / 255).movedim(-1, 0)
    blank = float((unseen(sample, 200) - mean).square().mean())
    assert errors[1] < errors[0]
    assert errors[1] < 0.7 * blank
