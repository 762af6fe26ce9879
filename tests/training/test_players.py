"""Players, averages and rates: each against its formula."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.critics import CodeCritic, keep_code_critic_smooth
from isthmus.model.recipes import RECIPES
from isthmus.training.optimisers import WeightAverage, build_optimiser
from isthmus.training.players import Player, gradients, players_of
from isthmus.training.schedule import Schedule, rate_at

from .cases import small

GRIDS = ("denoising", "inpainting", "codec", "features", "transform-pairs", "defects")
NAMES = {
    "vae-gan": ["encoder", "decoder", "critic"],
    "adversarial": ["autoencoder", "critic"],
}


def passed(name: str) -> tuple[Autoencoder, tuple[Player, ...], Any]:
    code = "8@4" if name in GRIDS else "8"
    model = build(small(name, code=code), channels=1, size=(12, 12)).train()
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    return model, players_of(model), model.trace(images, torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", RECIPES)
def test_players_share_out_all_parameters(name: str) -> None:
    model, players, _ = passed(name)
    assert [p.name for p in players] == NAMES.get(name, ["autoencoder"])
    owned = list(itertools.chain.from_iterable(p.parameters for p in players))
    assert len({id(p) for p in owned}) == len(owned)
    assert {id(p) for p in owned} == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("name", NAMES)
def test_a_players_loss_reaches_its_own_parameters_only(name: str) -> None:
    """What a player is told is the gradient of its own loss, whatever the others lose."""
    _, players, trace = passed(name)
    player_gradients, _ = gradients(players, trace, 1.0, 1.0)
    for i, player in enumerate(players):
        _, _, again = passed(name)
        mine = players_of(again.model)[i]
        # The others' terms are still evaluated, so that the pass draws the same numbers.
        losses = [p.objective(again)[0].mean() for p in players_of(again.model)]
        alone = torch.autograd.grad(losses[i], mine.parameters, allow_unused=True)
        for parameter, gradient, own in zip(player.parameters, player_gradients[i], alone, strict=True):
            assert (gradient is None) == (own is None)
            if gradient is not None and own is not None:
                assert gradient.shape == parameter.shape
                torch.testing.assert_close(gradient, own)


def test_the_routes_of_a_vae_gan_are_those_of_the_paper() -> None:
    """Larsen et al. 2016, algorithm 1: the KL moves the encoder alone, the verdict the decoder alone."""
    model, (encoder, decoder, critic), trace = passed("vae-gan")
    by_name = {p.name: {t.name for t in p.objective.terms} for p in (encoder, decoder, critic)}
    assert by_name == {
        "encoder": {"bce", "kl", "features"},
        "decoder": {"bce", "features", "fool_critic"},
        "critic": {"critic"},
    }
    lost = critic.objective(trace)[0].mean()
    others = [*model.encoder.parameters(), *model.decoder.parameters()]
    assert all(g is None for g in torch.autograd.grad(lost, others, allow_unused=True))
    assert critic.optimiser.rate == axes.OnImages().rate
    assert not any(t.validated for t in critic.objective.terms)


def test_the_penalty_on_the_critics_slope_is_its_squared_gradient_at_both_kinds_of_codes() -> None:
    model, _, trace = passed("adversarial")
    assert isinstance(model.critic, CodeCritic)
    model.critic.layers = nn.Sequential(nn.Linear(8, 1))  # a plane: the same slope everywhere
    weight = next(model.critic.parameters())
    penalty = keep_code_critic_smooth(trace)
    torch.testing.assert_close(penalty, weight.square().sum().expand(4))
    penalty.mean().backward()
    torch.testing.assert_close(weight.grad, 2 * weight.detach())
    assert all(p.grad is None for p in model.encoder.parameters())


def test_the_critic_on_codes_judges_codes_without_moving_them() -> None:
    """Makhzani et al. 2015, §2: the regularisation phase's discriminator step leaves the encoder alone."""
    model, (autoencoder, critic), trace = passed("adversarial")
    lost = critic.objective(trace)[0].mean()
    others = [*model.encoder.parameters(), *model.decoder.parameters()]
    assert all(g is None for g in torch.autograd.grad(lost, others, allow_unused=True))
    assert {t.name for t in autoencoder.objective.terms} == {"mse", "fool_critic"}


def test_a_term_that_warms_up_pulls_nothing_at_the_start() -> None:
    model, _, _ = passed("variational")
    assert model.bottleneck.warmup > 0
    losses = []
    for weight, progress in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        model.bottleneck.weight = weight
        trace = model.trace(torch.full((2, 1, 12, 12), 0.4), torch.Generator().manual_seed(2))
        losses.append(gradients(players_of(model), trace, progress, 1.0)[0][0][0])
    first, unweighted, warm = losses
    assert first is not None and unweighted is not None and warm is not None
    torch.testing.assert_close(first, unweighted)
    assert not torch.allclose(first, warm)


def test_losses_are_logged_as_batch_means_and_scaled_by_the_share() -> None:
    _, players, trace = passed("variational")
    batch_gradients, logged = gradients(players, trace, 1.0, 1.0)
    _, players, trace = passed("variational")
    half, again = gradients(players, trace, 1.0, 0.5)
    assert set(logged) == {"autoencoder", "bce", "kl"}
    assert all(torch.equal(logged[k], again[k]) for k in logged)
    for gradient, other in zip(batch_gradients[0], half[0], strict=True):
        assert gradient is not None and other is not None
        torch.testing.assert_close(other * 2, gradient)


# ------------------------------------------------------------ the averaged weights


@pytest.mark.parametrize("decay", [0.9, 0.995])
def test_the_average_follows_its_formula_and_stands_in_for_the_weights(decay: float) -> None:
    module = nn.Linear(3, 2)
    average = WeightAverage(module, decay)
    expected = module.weight.detach().clone()
    for step in range(1, 60):
        with torch.no_grad():
            module.weight.add_(torch.randn(2, 3, generator=torch.Generator().manual_seed(step)))
        average.update(step)
        d = min(decay, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * module.weight.detach()
    torch.testing.assert_close(average.tensors["weight"], expected)
    own = module.weight.detach().clone()
    with pytest.raises(RuntimeError), average.swapped_in():
        torch.testing.assert_close(module.weight.detach(), expected)
        raise RuntimeError
    assert torch.equal(module.weight, own)


def test_running_statistics_are_averaged_with_the_weights() -> None:
    module = nn.BatchNorm1d(2)
    assert module.running_mean is not None
    average = WeightAverage(module, 0.5)
    expected = module.running_mean.clone()
    for step in range(20, 24):
        module(torch.randn(8, 2, generator=torch.Generator().manual_seed(step)) + step)
        average.update(step)
        expected = 0.5 * expected + 0.5 * module.running_mean
    torch.testing.assert_close(average.tensors["running_mean"], expected)
    own = module.running_mean.clone()
    with average.swapped_in():
        torch.testing.assert_close(module.running_mean, expected)
    assert torch.equal(module.running_mean, own)
    assert module.num_batches_tracked is not None
    assert int(module.num_batches_tracked) == 4


def test_no_decay_is_no_average() -> None:
    module = nn.Linear(3, 2)
    average = WeightAverage(module, 0.0)
    average.update(1)
    own = module.weight.detach().clone()
    with average.swapped_in():
        assert torch.equal(module.weight, own)
    assert average.tensors == {}


# ------------------------------------------------------------ learning rates


def rates(steps: int, **settings: Any) -> list[float]:
    chosen = axes.Optimiser(**{"rate": 1.0, **settings})
    return [rate_at(chosen, step / steps, Schedule.linear(steps)) for step in range(steps)]


@given(
    st.integers(1, 3000),
    st.sampled_from(["adamw", "sgd", "gd"]),
    st.sampled_from(["constant", "cosine", "step"]),
    st.floats(0, 1),
)
def test_every_schedule_stays_between_zero_and_the_peak_and_rises_before_it_falls(
    steps: int, name: str, schedule: str, warmup: float
) -> None:
    rates_found = rates(steps, name=name, schedule=schedule, warmup=warmup)
    assert all(0 <= r <= 1 + 1e-9 for r in rates_found)
    assert rates_found[0] > 0
    peak = rates_found.index(max(rates_found))
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(rates_found[: peak + 1]))
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(rates_found[peak:]))


def test_cosine_ends_near_zero_and_halves_in_the_middle() -> None:
    rates_found = rates(1000, name="sgd", warmup=0.0)
    assert rates_found[0] == 1
    assert rates_found[500] == pytest.approx(0.5)
    assert rates_found[-1] < 1e-5
    assert rates_found[250] == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_steps_drop_by_the_factor_at_equal_distances() -> None:
    rates_found = rates(1000, name="sgd", schedule="step", warmup=0.0, drops=3, factor=0.5)
    assert [rates_found[i] for i in (0, 249, 250, 499, 500, 749, 750, 999)] == [
        1,
        1,
        0.5,
        0.5,
        0.25,
        0.25,
        0.125,
        0.125,
    ]


def test_constant_is_constant_after_the_warm_up() -> None:
    rates_found = rates(1000, name="sgd", schedule="constant", warmup=0.1)
    assert rates_found[100:] == [1.0] * 900
    assert rates_found[50] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("name", ["adamw", "sgd", "gd"])
def test_decay_is_for_matrices_only(name: str) -> None:
    model = build(
        small("dense", f"optimiser.name={name}", "optimiser.weight_decay=0.25"), channels=1, size=(12, 12)
    )
    optimiser = build_optimiser(players_of(model)[0])
    for group in optimiser.param_groups:
        expected_decay = {0.25} if all(p.ndim >= 2 for p in group["params"]) else {0.0}
        assert {group["weight_decay"]} == expected_decay
    assert sum(len(g["params"]) for g in optimiser.param_groups) == len(players_of(model)[0].parameters)
