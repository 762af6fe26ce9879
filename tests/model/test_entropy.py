"""The codec's bottleneck: many rates in one model, and values foretold from those coded before them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isthmus.model import axes
from isthmus.model.bottlenecks.entropy import (
    LEAST_SCALE,
    ChannelContext,
    EntropyBottleneck,
    Gains,
    checkerboard,
    draw,
    interpolated,
)
from isthmus.model.geometry import Geometry
from isthmus.model.objective import Objective, code_terms, image_terms
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import recipe

from .cases import generator, model_of, narrow, pictures

LOW, HIGH = 0.002, 0.05


def bottleneck(seed: int = 1, channels: int = 5, **settings: object) -> EntropyBottleneck:
    """With weights moved away from where they start."""
    made = EntropyBottleneck(
        axes.Entropy(**({"low": LOW, "high": HIGH, "context": True} | settings)),  # type: ignore[arg-type]
        Geometry(channels, 16),
        channels=3,
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator(seed)))
    return made


def latents(seed: int = 0, channels: int = 5, side: int = 6) -> torch.Tensor:
    return 3 * torch.randn(2, channels, side, side, generator=generator(seed))


# ------------------------------------------------------------ gains


def test_gains_rise_with_quality_as_the_best_step_of_an_orthonormal_transform() -> None:
    gains = Gains(LOW, HIGH, 3)
    knot_gains = gains(torch.tensor([1.0, 50.5, 100.0]))[:, 0]
    # The rate falls by 3·log₂e/step; λ·255² times the error step²/12 rises by λ·255²·step/6.
    for gain, weight in zip(knot_gains.tolist(), (LOW, math.sqrt(LOW * HIGH), HIGH), strict=True):
        step = 1 / gain
        assert weight * 255**2 * step / 6 == pytest.approx(3 / (math.log(2) * step), rel=1e-4)


@given(st.floats(1, 100))
def test_a_table_is_interpolated_between_its_neighbours(quality: float) -> None:
    table = torch.tensor([[0.0, 3.0], [1.0, 2.0], [2.0, 7.0]])
    value = interpolated(table, torch.tensor([quality], dtype=torch.float64))[0]
    place = (quality - 1) / 49.5
    assert float(value[0]) == pytest.approx(place, abs=1e-5)
    expected = 3 - place if place <= 1 else 2 + 5 * (place - 1)
    assert float(value[1]) == pytest.approx(expected, abs=1e-4)


def test_every_batch_sees_the_whole_range() -> None:
    drawn = draw(8, generator(3), torch.device("cpu"))
    places = ((drawn - 1) / 99 * 8).floor().sort().values
    assert places.tolist() == list(range(8))
    assert not torch.equal(drawn, draw(8, generator(4), torch.device("cpu")))


# ------------------------------------------------------------ context


def test_a_value_depends_only_on_what_is_coded_before_it() -> None:
    """Order: channels; within one, first the even squares of a checkerboard, then the odd ones."""
    context, channels, side = ChannelContext(4), 4, 5
    with torch.no_grad():
        for parameter in context.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator(5)) + 0.1)
    values = torch.rand(1, channels, side, side, generator=generator(6)) + 0.5
    values.requires_grad_()
    first = checkerboard(values)
    rank = [(c, int(not first[y, x])) for c in range(channels) for y in range(side) for x in range(side)]
    for forward in range(2):
        foretold = context(values)[forward].flatten()
        for i, (channel, second) in enumerate(rank):
            (gradient,) = torch.autograd.grad(foretold[i], values, retain_graph=True)
            used = [rank[j] for j in gradient.flatten().nonzero()[:, 0].tolist()]
            assert all(other < (channel, second) for other in used)
            # All of the 3×3 pieces of earlier channels, and the four neighbours in the second pass.
            y, x = divmod(i % (side * side), side)
            around = (min(y + 2, side) - max(y - 1, 0)) * (min(x + 2, side) - max(x - 1, 0))
            beside = sum(0 <= y + d < side for d in (-1, 1)) + sum(0 <= x + d < side for d in (-1, 1))
            assert len(used) == channel * around + second * beside


def test_the_rate_is_minus_log_of_a_laplacian_around_what_is_foretold() -> None:
    made = bottleneck()
    code = made(latents(), generator(2), True)
    rated, symbols, quality = (code.parts[name] for name in ("rated", "symbols", "quality"))
    assert made.context is not None
    gain = made.gain(quality, 4)
    mean, magnitude = made.context(symbols / gain)
    base = made.spread(quality)[..., None, None]
    scale = (torch.nn.functional.softplus(base + gain * magnitude) + LEAST_SCALE).double()
    away = rated.double() - (gain * mean).double()
    density = torch.distributions.Laplace(torch.zeros_like(scale), scale)
    mass = density.cdf(away + 0.5) - density.cdf(away - 0.5)
    likely = mass > 1e-6  # further out the plain form has no digits left
    nats = made._nats_in_context(rated, symbols, quality).double()  # `rate`, which is public, adds them up
    torch.testing.assert_close(nats[likely], -mass[likely].log(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(made.rate(code).double(), nats.sum((1, 2, 3)), atol=1e-2, rtol=1e-5)


def test_far_from_what_is_foretold_the_rate_still_has_a_slope() -> None:
    made = bottleneck()
    far = torch.full((1, 5, 2, 2), 4000.0, requires_grad=True)
    # The public `rate` takes a code made of latents, and these do not lie so far from the mean.
    nats = made._nats_in_context(far, torch.zeros_like(far), torch.tensor([1.0])).sum()
    (slope,) = torch.autograd.grad(nats, far)
    assert bool(nats.isfinite())
    assert bool((slope > 0).all())


def test_context_makes_dependent_values_cheaper() -> None:
    """The second channel repeats the first: once that is learned, it costs next to nothing."""
    made = bottleneck(0, channels=2)
    made.gains = None
    first = 6 * torch.randn(4, 1, 8, 8, generator=generator(7))
    h = torch.cat([first, first], 1)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.05)
    for step in range(150):
        loss = made.rate(made(h, generator(step), True)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    code = made(h, generator(), False)
    # No public name gives the rate of single channels.
    nats = made._nats_in_context(code.parts["rated"], code.parts["symbols"], code.parts["quality"])
    alone, repeated = nats[:, 0].mean(), nats[:, 1].mean()
    assert repeated < 0.3 * alone


# ------------------------------------------------------------ in the product space


def test_every_image_is_traded_at_its_own_rate() -> None:
    made = bottleneck()
    code = made(latents(), generator(2), True)
    quality = code.parts["quality"]
    weight = LOW * (HIGH / LOW) ** ((quality - 1) / 99)
    assert code.image_weight is not None
    assert code.code_weight is not None
    # bits per pixel + λ·255²·mse, in nats per pixel-channel of three channels.
    torch.testing.assert_close(
        code.image_weight / code.code_weight, weight * 255**2 * math.log(2) / 3, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(code.code_weight * weight.sqrt(), torch.full((2,), (LOW * HIGH) ** 0.25))


def test_the_objective_weighs_image_and_code_as_the_bottleneck_says() -> None:
    model = model_of(narrow(recipe("codec"), "8@16"), (32, 32), channels=3)
    trace = model.trace(pictures(3, (32, 32), 3), generator(1))
    per_image, parts = Objective((*image_terms(model.recipe), *code_terms(model.bottleneck)))(trace)
    error = (trace.output - trace.images).square().mean((1, 2, 3))
    rate = model.bottleneck.penalty(trace)
    assert trace.code.image_weight is not None and trace.code.code_weight is not None
    expected = trace.code.image_weight * error + trace.code.code_weight * rate / trace.pixels
    torch.testing.assert_close(per_image, expected)
    torch.testing.assert_close(parts["mse"], error.mean().detach())  # logs stay in their own unit
    torch.testing.assert_close(parts["rate"], rate.mean().detach())


def test_codes_for_users_are_made_at_one_quality_and_are_what_the_decoder_reads() -> None:
    settings = ["backbone.width=8-16", "code=16@16"]
    images = pictures(2, (32, 48), 3)
    model = model_of(recipe("codec").with_settings(settings), (32, 32), channels=3)
    finer = model_of(
        recipe("codec").with_settings([*settings, "bottleneck.quality=95"]), (32, 32), channels=3
    )
    code, again = model.encode(images), model.encode(images)
    assert torch.equal(torch.as_tensor(code.values), torch.as_tensor(again.values))
    assert torch.equal(model.decode(code), model.reconstruct(images))
    assert float((finer.reconstruct(images) - images).square().mean()) < float(
        (model.reconstruct(images) - images).square().mean()
    )


def test_dequantised_values_lie_a_little_nearer_to_zero() -> None:
    made = bottleneck()
    symbols = torch.tensor([[[[-2.0, -1.0, 0.0, 1.0, 2.0]]]]).expand(1, 5, 1, 5)
    quality = torch.tensor([40.0])
    steps = made.values(symbols, quality) * made.gain(quality, 4)
    assert bool((steps[..., 2] == 0).all())
    nearer = (symbols - steps)[..., 3:]
    assert bool(((nearer > 0) & (nearer < 0.5)).all())
    torch.testing.assert_close(steps[..., :2], -steps[..., 3:].flip(-1))


def test_one_rate_and_no_context_is_the_plain_integer_code() -> None:
    recipe_of_one = Recipe(code="4@4").with_settings(["bottleneck=entropy", "backbone.width=4"])
    model = model_of(recipe_of_one, (8, 8))
    trace = model.trace(pictures(2, (8, 8)), generator())
    assert trace.code.image_weight is None
    assert torch.equal(trace.code.values, trace.code.values.round())
