"""The critic on patches: what it adds to whom, how hard it pulls, what it is shown of mixed codes."""

from __future__ import annotations

import torch

from isthmus.model.critics import (
    PatchCritic,
    fool_patch_critic,
    keep_patch_critic_smooth,
    mixed_images,
    tell_patches_apart,
)
from isthmus.model.terms import texture
from isthmus.model.trace import Corrupted, Trace
from isthmus.training.players import players_of

from .cases import generator, model_of, pictures, small


def passed(*, mixed: bool = True) -> Trace:
    recipe = small("generative").with_settings([f"critic.mixed={str(mixed).lower()}"])
    model = model_of(recipe, (16, 16))
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    return model.trace(pictures(6, (16, 16)), generator(), labels=labels)


def test_the_verdict_pulls_at_each_image_as_hard_as_its_squared_error() -> None:
    trace = passed(mixed=False)
    (pull,) = torch.autograd.grad(fool_patch_critic(trace).sum(), trace.output, retain_graph=True)
    error = (trace.output - trace.images).square().flatten(1).mean(1)
    (wanted,) = torch.autograd.grad(error.sum(), trace.output)
    torch.testing.assert_close(pull.flatten(1).norm(dim=1), wanted.flatten(1).norm(dim=1))


def test_each_player_moves_its_own_part() -> None:
    trace = passed()
    model = trace.model
    autoencoder, critic = players_of(model)  # type: ignore[arg-type]
    assert {t.name for t in autoencoder.objective.terms} == {"mse", "texture", "features", "fool_critic"}
    assert {t.name for t in critic.objective.terms} == {"critic", "critic_slope"}
    told = tell_patches_apart(trace).mean()
    assert all(g is None for g in torch.autograd.grad(told, autoencoder.parameters, allow_unused=True))


def test_the_slope_is_that_of_a_part_and_stands_for_all() -> None:
    trace = passed()
    assert isinstance(trace.model.critic, PatchCritic)
    at = trace.images[:2].clone().requires_grad_()
    (slope,) = torch.autograd.grad(trace.model.critic(at).mean(1).sum(), at)
    wanted = 0.5 * slope.flatten(1).square().sum(1).mean()
    torch.testing.assert_close(keep_patch_critic_smooth(trace).mean(), wanted)


def test_mixtures_are_of_one_class_and_half_as_many() -> None:
    trace = passed()
    assert mixed_images(trace).shape == (3, 1, 16, 16)
    assert mixed_images(trace) is mixed_images(trace)
    trace.code.parts.clear()
    trace.code.values = torch.tensor([0.0, 10, 0, 10, 0, 10])[:, None].expand(6, 8).contiguous()
    low, high, _ = trace.model.decode_prior(torch.tensor([[0.0] * 8, [10.0] * 8, [0.0] * 8]), (16, 16))
    torch.testing.assert_close(mixed_images(trace), torch.stack([low, high, low]))


def test_texture_prefers_moved_detail_to_none() -> None:
    real = torch.rand(2, 1, 32, 32, generator=generator())
    trace = passed()
    found = {}
    for name, output in {
        "same": real,
        "moved": real.roll(1, -1),
        "smooth": torch.full_like(real, 0.5),
    }.items():
        trace.images, trace.output = real, output
        trace.corrupted = Corrupted(real, real)
        found[name] = float(texture(trace).mean())
    assert found["same"] == 0
    assert 0 < 3 * found["moved"] < found["smooth"]
    trace.output = torch.rand(2, 1, 3, 5, generator=generator())
    trace.images = trace.output
    trace.corrupted = Corrupted(trace.output, trace.output)
    assert texture(trace).tolist() == [0, 0]
