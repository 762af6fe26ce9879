"""What a code is and what it costs, each formula against an oracle that was written another way."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd.functional import jacobian
from torch.distributions import Bernoulli, Normal, kl_divergence

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.bottlenecks.entropy import EntropyBottleneck
from isthmus.model.bottlenecks.gaussian import GaussianBottleneck
from isthmus.model.bottlenecks.norms import ContractiveBottleneck
from isthmus.model.bottlenecks.quantised import FSQBottleneck, VQBottleneck
from isthmus.model.bottlenecks.sparse import KLSparseBottleneck, L0Bottleneck, TopKBottleneck
from isthmus.model.geometry import Geometry
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent, Trace

from .cases import generator, model_of, pictures, trace_of

CARRIER = model_of(Recipe(code="2").with_settings(["backbone=dense", "backbone.width=2"]))


def carrying(code: Latent) -> Trace:
    """A trace for a penalty that looks at the code alone."""
    images = torch.zeros(len(code.values), 1, 12, 12)
    return trace_of(CARRIER, images, images, code=code)


# ------------------------------------------------------------ contractive


def squared_jacobian(
    model: Autoencoder, images: torch.Tensor, condition: torch.Tensor | None
) -> torch.Tensor:
    """‖∂code/∂image‖²_F of every image, from the full Jacobian."""

    def code(image: torch.Tensor) -> torch.Tensor:
        x = image[None] if condition is None else torch.cat([image[None], condition], 1)
        h = model.encoder(x, None).h
        values: torch.Tensor = model.bottleneck(h, generator(), False).values
        return values[0]

    return torch.stack([jacobian(code, image).square().sum() for image in images])


@pytest.mark.parametrize("told", [False, True], ids=["image alone", "with a condition map"])
def test_the_closed_form_of_one_sigmoid_layer_is_the_jacobian(told: bool) -> None:
    recipe = Recipe(code="5").with_settings(
        ["backbone=dense", "backbone.width=", "backbone.activation=sigmoid", "bottleneck=contractive"]
        + (["corruption=gaussian", "corruption.sigma=20", "corruption.condition=true"] if told else [])
    )
    model = model_of(recipe, (6, 7))
    trace = model.trace(pictures(3, (6, 7)), generator())
    bottleneck = model.bottleneck
    assert isinstance(bottleneck, ContractiveBottleneck)
    assert bottleneck.exact
    condition = None if trace.corrupted.condition is None else trace.corrupted.condition[:1]
    oracle = squared_jacobian(model, trace.corrupted.input.detach(), condition)
    torch.testing.assert_close(bottleneck.squared_norm(trace), oracle)


@pytest.mark.parametrize("code", ["5", "3@4"])
def test_random_probes_estimate_the_jacobian_without_bias(code: str) -> None:
    probes = 64
    recipe = Recipe(code=code).with_settings(
        ["backbone.width=4", "backbone.blocks=1", "bottleneck=contractive", f"bottleneck.probes={probes}"]
    )
    model = model_of(recipe, (8, 8))
    images = pictures(2, (8, 8))
    exact = squared_jacobian(model, images, None)
    bottleneck = model.bottleneck
    assert isinstance(bottleneck, ContractiveBottleneck)
    with torch.no_grad():  # as in validation
        draws = torch.stack([bottleneck.squared_norm(model.trace(images, generator(s))) for s in range(40)])
    spread = draws.std(0) / math.sqrt(len(draws))
    assert bool(((draws.mean(0) - exact).abs() < 4 * spread + 1e-6).all())
    assert bool((spread < 0.1 * exact).all())


@pytest.mark.parametrize("code", ["5", "3@4"])
def test_a_smaller_code_does_not_dodge_the_penalty(code: str) -> None:
    recipe = Recipe(code=code).with_settings(
        ["backbone.width=4", "backbone.blocks=1", "bottleneck=contractive"]
    )
    model, images = model_of(recipe, (8, 8)), pictures(3, (8, 8))
    before = model.bottleneck.penalty(model.trace(images, generator()))
    with torch.no_grad():
        for name, parameter in model.encoder.named_parameters():
            if name.startswith(("last", "straight")):
                parameter.mul_(0.01)
    after = model.bottleneck.penalty(model.trace(images, generator()))
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-6)


def test_the_penalty_reaches_the_encoder_but_not_the_decoder() -> None:
    recipe = Recipe(code="4@4").with_settings(
        [
            "backbone=attention",
            "backbone.width=8",
            "backbone.heads=2",
            "backbone.depth=1",
            "bottleneck=contractive",
        ]
    )
    model = model_of(recipe, (8, 8))
    model.bottleneck.penalty(model.trace(pictures(2, (8, 8)), generator())).sum().backward()
    assert all(p.grad is None for p in model.decoder.parameters())
    assert any(bool((p.grad != 0).any()) for p in model.encoder.parameters() if p.grad is not None)


# ------------------------------------------------------------ gaussian


def test_kl_agrees_with_torch_distributions_and_samples_have_its_moments() -> None:
    bottleneck = GaussianBottleneck(axes.Gaussian())
    h = torch.randn(4, 6, generator=generator(1))
    code = bottleneck(h, generator(2), True)
    posterior = Normal(h[:, :3], (0.5 * h[:, 3:]).exp())
    oracle = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(bottleneck.penalty(carrying(code)), oracle)
    many = bottleneck(h[:1].repeat(20000, 1), generator(3), True).values
    torch.testing.assert_close(many.mean(0), h[0, :3], atol=0.05, rtol=0.05)
    torch.testing.assert_close(many.std(0), (0.5 * h[0, 3:]).exp(), atol=0.05, rtol=0.05)
    assert torch.equal(bottleneck(h, generator(), False).values, h[:, :3])


def test_free_bits_cost_the_allowance_and_push_no_further() -> None:
    bottleneck = GaussianBottleneck(axes.Gaussian(free_bits=0.5))
    h = torch.tensor([[3.0, 0.01, 0.0, 0.0], [2.0, -0.01, 0.0, 0.0]], requires_grad=True)
    penalty = bottleneck.penalty(carrying(bottleneck(h, generator(), False)))
    torch.testing.assert_close(penalty, torch.tensor([4.5 + 0.5, 2.0 + 0.5]))
    (grad,) = torch.autograd.grad(penalty.sum(), h)
    assert bool((grad[:, 0] != 0).all())
    assert bool((grad[:, 1] == 0).all())


# ------------------------------------------------------------ sparse


@given(st.integers(1, 9), st.integers(0, 2**31))
def test_top_k_keeps_exactly_the_k_largest(k: int, seed: int) -> None:
    h = torch.randn(3, 9, generator=generator(seed))
    z = TopKBottleneck(axes.TopK(k=k), Geometry(9))(h, generator(), True).values
    for before, after in zip(h.tolist(), z.tolist(), strict=True):
        largest = sorted(before, key=abs)[-k:]
        assert after == [v if v in largest else 0.0 for v in before]


def test_top_k_of_a_grid_is_taken_at_every_position() -> None:
    h = torch.randn(2, 6, 3, 4, generator=generator())
    z = TopKBottleneck(axes.TopK(k=2), Geometry(6, 4))(h, generator(), True).values
    assert bool(((z != 0).sum(1) == 2).all())


def test_a_unit_that_top_k_never_chooses_is_brought_back() -> None:
    bottleneck = TopKBottleneck(axes.TopK(k=2), Geometry(6))
    quiet = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.05])
    unused = 0
    for step in range(900):
        z = bottleneck(torch.randn(32, 6, generator=generator(step)) * quiet, generator(), True).values
        unused = unused + 1 if bool((z[:, 5] == 0).all()) else 0
        if step == 100:
            assert unused > 10  # left alone it is dead
    assert unused < 20
    # What was learned of the choice is kept: without sampling it no longer moves.
    before = bottleneck.boost.clone()
    bottleneck(torch.randn(32, 6), generator(), False)
    assert torch.equal(bottleneck.boost, before)


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 2, 3)])
def test_kl_sparse_is_the_divergence_of_the_mean_activations(shape: tuple[int, ...]) -> None:
    bottleneck = KLSparseBottleneck(axes.KLSparse(target=0.1))
    code = bottleneck(torch.randn(shape, generator=generator()), generator(), True)
    mean = code.values.transpose(0, 1).reshape(5, -1).mean(1)
    oracle = kl_divergence(Bernoulli(0.1), Bernoulli(mean)).sum() * math.prod(shape[2:])
    torch.testing.assert_close(bottleneck.penalty(carrying(code)), oracle.expand(7))


def test_expected_l0_is_the_share_of_gates_that_are_not_zero() -> None:
    """Against a Monte Carlo count of the gates themselves (Louizos et al. 2018, eq. 12)."""
    bottleneck = L0Bottleneck(axes.L0())
    logits = torch.linspace(-4, 3, 8)
    h = torch.cat([torch.ones(8), logits]).expand(40000, -1)
    code = bottleneck(h, generator(5), True)
    gates = code.values  # the values are 1
    assert bool(((gates >= 0) & (gates <= 1)).all())
    assert bool((gates == 0).any())
    assert bool((gates == 1).any())
    open_share = (gates != 0).float().mean(0)
    expected = bottleneck.penalty(carrying(code))[0]
    assert float(expected) == pytest.approx(float(open_share.sum()), abs=0.03)
    for i, share in enumerate(open_share):
        alone = Latent(code.values[:1], {"gate_logit": code.parts["gate_logit"][:1, i : i + 1]})
        assert float(bottleneck.penalty(carrying(alone))) == pytest.approx(float(share), abs=0.012)


def test_a_steered_price_opens_and_closes_gates_until_the_asked_number_is_active() -> None:
    """Free logits under nothing but the penalty settle at the asked count, from either side."""
    for start in (3.0, -3.0):
        bottleneck = L0Bottleneck(axes.L0(active=5.0)).train()
        logits = (start + torch.randn(1, 16, generator=generator(0))).requires_grad_()
        optimiser = torch.optim.Adam([logits], lr=0.03)
        counts = []
        for step in range(900):
            h = torch.cat([torch.ones(1, 16), logits], 1)
            code = bottleneck(h, generator(step), True)
            penalty = bottleneck.penalty(carrying(code)).sum()
            counts.append(float(bottleneck.expected(code).detach().sum()))
            optimiser.zero_grad()
            penalty.backward()
            optimiser.step()
        assert sum(counts[-300:]) / 300 == pytest.approx(5.0, rel=0.1)


def test_a_steered_price_is_saved_and_validations_are_judged_alike() -> None:
    bottleneck = L0Bottleneck(axes.L0(active=2.0)).train()
    full, scarce = torch.full((3, 16), 4.0), torch.full((3, 16), -9.0)
    bottleneck.penalty(carrying(bottleneck(full, generator(), True)))
    raised = float(bottleneck.price)
    assert raised > 0
    bottleneck.penalty(carrying(bottleneck(scarce, generator(), True)))
    assert float(bottleneck.price) < raised
    assert "price" in bottleneck.state_dict()
    before = bottleneck.eval().price.clone()
    first = bottleneck.penalty(carrying(bottleneck(full, generator(), False)))
    assert bool((first > 0).all())
    assert bool((bottleneck.penalty(carrying(bottleneck(scarce, generator(), False))) == 0).all())
    assert torch.equal(before, bottleneck.price)


# ------------------------------------------------------------ discrete


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 8, 15, 16, 255, 256])
def test_fsq_has_exactly_its_levels_evenly_spaced_from_minus_one_to_one(levels: int) -> None:
    bottleneck = FSQBottleneck(axes.Quantised(levels=levels))
    h = torch.linspace(-8, 8, 400_001)[:, None]
    values = bottleneck(h, generator(), True).values.unique()
    torch.testing.assert_close(values, torch.linspace(-1, 1, levels), atol=1e-6, rtol=0)


@pytest.mark.parametrize("levels", [2, 5, 8])
def test_gradients_pass_the_rounding_as_through_the_bound_alone(levels: int) -> None:
    bottleneck = FSQBottleneck(axes.Quantised(levels=levels))
    h = torch.linspace(-2, 2, 41)[:, None].requires_grad_()
    (grad,) = torch.autograd.grad(bottleneck(h, generator(), True).values.sum(), h)
    steps = (levels - 1) / 2
    torch.testing.assert_close(grad, (1 - h.detach().tanh() ** 2) * (steps + 0.499) / steps)


@pytest.mark.parametrize(("code", "shape"), [("8", (5, 8)), ("6", (5, 6)), ("6@4", (5, 6, 2, 3))])
def test_vq_takes_the_nearest_entry_exactly(code: str, shape: tuple[int, ...]) -> None:
    bottleneck = VQBottleneck(axes.Quantised(method="vq", entries=7), Geometry.parse(code))
    h = torch.randn(shape, generator=generator()).requires_grad_()
    latent = bottleneck(h, generator(), True)
    size = shape[1] // bottleneck.groups
    columns = h.detach().flatten(2) if h.ndim > 2 else h.detach()[..., None]
    values = latent.values.flatten(2) if h.ndim > 2 else latent.values[..., None]
    for n in range(shape[0]):
        for group in range(bottleneck.groups):
            part = slice(group * size, (group + 1) * size)
            for place in range(columns.shape[2]):
                distances = (bottleneck.codebook[group] - columns[n, part, place]).square().sum(1)
                nearest = bottleneck.codebook[group][int(distances.argmin())]
                assert torch.equal(values[n, part, place], nearest)
    (straight,) = torch.autograd.grad(latent.values.sum(), h, retain_graph=True)
    assert torch.equal(straight, torch.ones_like(h))
    entries = latent.values.detach()
    error = (h - entries).square().flatten(1).sum(1)
    torch.testing.assert_close(bottleneck.penalty(carrying(latent)), 1.25 * error)
    to_h, to_book = torch.autograd.grad(bottleneck.penalty(carrying(latent)).sum(), (h, bottleneck.codebook))
    torch.testing.assert_close(to_h, 0.25 * 2 * (h.detach() - entries))
    assert bool((to_book != 0).any())


def entropy_bottleneck(seed: int, channels: int = 4) -> EntropyBottleneck:
    bottleneck = EntropyBottleneck(axes.Entropy(), Geometry(channels))
    with torch.no_grad():
        for parameter in bottleneck.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator(seed)) * (seed > 0))
    return bottleneck


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_the_probabilities_of_all_integers_sum_to_one_in_every_channel(seed: int) -> None:
    """Also untouched (seed 0), where integers fall exactly on a component's mean."""
    integers = torch.arange(-400.0, 401.0)[:, None].expand(-1, 4)
    nats = entropy_bottleneck(seed).nats(integers)
    # Far tails count at the floor of 1e-9 each.
    torch.testing.assert_close(nats.neg().exp().sum(0), torch.ones(4), atol=2e-5, rtol=0)
    assert bool((nats > 0).all())


def test_the_rate_is_minus_log_of_the_logistic_mixture() -> None:
    bottleneck = entropy_bottleneck(4)
    k = torch.arange(-6.0, 7.0, dtype=torch.float64)
    scale, weight = bottleneck.log_scale.double().exp(), bottleneck.logit.double().softmax(1)
    for c in range(4):
        z = (k[:, None] - bottleneck.mean.double()[c]) / scale[c]
        half = 0.5 / scale[c]
        probability = (((z + half).sigmoid() - (z - half).sigmoid()) * weight[c]).sum(1)
        nats = bottleneck.nats(k.float()[:, None].expand(-1, 4))[:, c]
        torch.testing.assert_close(nats.double(), -probability.log(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2, 2)])
def test_entropy_codes_are_exact_integers_and_the_rate_is_summed_per_image(shape: tuple[int, ...]) -> None:
    bottleneck = entropy_bottleneck(1)
    h = (5 * torch.randn(shape, generator=generator())).requires_grad_()
    for sample in (False, True):
        code = bottleneck(h, generator(1), sample)
        assert torch.equal(code.values, h.round())
        assert bool(((code.parts["rated"] - h).abs() <= 0.5).all())
        torch.testing.assert_close(
            bottleneck.penalty(carrying(code)), bottleneck.nats(code.parts["rated"]).flatten(1).sum(1)
        )
    (straight,) = torch.autograd.grad(bottleneck(h, generator(), False).values.sum(), h)
    assert torch.equal(straight, torch.ones_like(h))


# ------------------------------------------------------------ all of them


@pytest.mark.parametrize("kind", [p.kind for p in axes.AXES["bottleneck"]])
@pytest.mark.parametrize("code", ["6", "6@4"])
def test_without_sampling_a_code_is_deterministic(kind: str, code: str) -> None:
    settings = [f"bottleneck={kind}"] + (["bottleneck.k=2"] if kind == "top-k" else [])
    recipe = Recipe(code=code).with_settings([*settings, "backbone.width=4", "backbone.blocks=0"])
    model = model_of(recipe, (8, 8))
    images = pictures(3, (8, 8))
    together = model.encode(images)
    assert together.values.shape[0] == 3
    assert torch.equal(model.encode_batch(images), torch.as_tensor(together.values))
    alone = torch.cat([model.encode_batch(image[None]) for image in images])
    torch.testing.assert_close(alone, together.values, atol=1e-5, rtol=1e-4)
