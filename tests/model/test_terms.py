"""Image terms and the objective's scale, against independent oracles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.distributions import Bernoulli, Normal

from isthmus.model.axes.point import resolve
from isthmus.model.image_terms import IMAGE_TERMS, parse_sum
from isthmus.model.objective import Objective, Term, code_terms, image_terms
from isthmus.model.recipe import Recipe
from isthmus.model.terms import PSNR_CEILING
from isthmus.model.trace import Trace

from .cases import generator, model_of, pictures, small, trace_of

MODEL = model_of(small("dense"))


def a_trace(weight: torch.Tensor | None = None) -> Trace:
    target, raw = pictures(3, seed=1), torch.randn(3, 1, 12, 12, generator=generator(2))
    return trace_of(MODEL, raw.sigmoid(), target, raw=raw, weight=weight)


def term(name: str) -> Callable[[Trace], torch.Tensor]:
    measure: Callable[[Trace], torch.Tensor] = resolve(IMAGE_TERMS[name].measure)
    return measure


def test_a_sum_is_read_as_rows() -> None:
    assert parse_sum("0.8*mse + 2e-1*ssim@0.3") == [("mse", 0.8, 0.0), ("ssim", 0.2, 0.3)]


@pytest.mark.parametrize("name", IMAGE_TERMS)
def test_a_term_is_one_number_per_image(name: str) -> None:
    trace = a_trace()
    if IMAGE_TERMS[name].needs_mask:
        trace.marked = trace.raw[:, :1]
        trace.corrupted = replace(trace.corrupted, mask=(trace.images[:, :1] > 0.5).float())
    values = term(name)(trace)
    assert values.shape == (3,)
    single_trace = trace_of(MODEL, trace.output[1:2], trace.images[1:2], raw=trace.raw[1:2])
    single_trace.corrupted = trace.corrupted.select(1)
    single_trace.marked = None if trace.marked is None else trace.marked[1:2]
    torch.testing.assert_close(term(name)(single_trace)[0], values[1], atol=1e-6, rtol=1e-5)


def test_simple_terms_are_means_over_pixels() -> None:
    trace = a_trace()
    x, y = trace.images.double().numpy(), trace.output.double().numpy()
    for name, oracle in (("mse", (x - y) ** 2), ("l1", abs(x - y))):
        expected = torch.from_numpy(oracle.mean((1, 2, 3))).float()
        torch.testing.assert_close(term(name)(trace), expected)


def test_psnr_counts_decibels_up_to_its_ceiling() -> None:
    trace = a_trace()
    decibels = [
        peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1.0)
        for x, y in zip(trace.images, trace.output, strict=True)
    ]
    torch.testing.assert_close(term("psnr")(trace), torch.tensor(decibels).float() / -10, atol=1e-3, rtol=0)
    perfect = trace_of(MODEL, trace.images, trace.images, raw=trace.raw)
    torch.testing.assert_close(term("psnr")(perfect), torch.full((3,), -PSNR_CEILING / 10))


def test_bce_is_the_bernoulli_log_likelihood_of_binary_images_and_least_at_the_target() -> None:
    trace = a_trace()
    binary = trace_of(MODEL, trace.output, trace.images.round(), raw=trace.raw)
    oracle = -Bernoulli(logits=trace.raw).log_prob(trace.images.round()).mean((1, 2, 3))
    torch.testing.assert_close(term("bce")(binary), oracle)
    best = trace_of(MODEL, trace.images, trace.images, raw=trace.images.logit())
    assert bool((term("bce")(best) < term("bce")(trace)).all())
    entropy = Bernoulli(trace.images).entropy().mean((1, 2, 3))
    torch.testing.assert_close(term("bce")(best), entropy)


def test_ssim_term_agrees_with_scikit_image() -> None:
    trace = a_trace()
    for i in range(3):
        oracle = structural_similarity(
            trace.images[i, 0].double().numpy(),
            trace.output[i, 0].double().numpy(),
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
            full=True,
        )[1][5:-5, 5:-5].mean()
        assert float(term("ssim")(trace)[i]) == pytest.approx(1 - oracle, abs=1e-4)


@pytest.mark.parametrize("log_sigma", [-2.0, 0.0, 0.7])
def test_gaussian_nll_is_the_density_of_a_normal(log_sigma: float) -> None:
    trace = a_trace()
    with torch.no_grad():
        trace.model.noise_log_sigma.fill_(log_sigma)
    oracle = -Normal(trace.output, math.exp(log_sigma)).log_prob(trace.images).mean((1, 2, 3))
    torch.testing.assert_close(term("gaussian-nll")(trace), oracle)


@pytest.mark.parametrize("name", ["mse", "l1", "bce", "gaussian-nll"])
def test_a_weight_moves_a_mean_to_the_pixels_it_names(name: str) -> None:
    """Half of the pixels with weight 2 is the same as those pixels alone."""
    half = torch.zeros(3, 1, 12, 12)
    half[..., :6] = 2.0
    trace = a_trace(half)
    alone = trace_of(MODEL, trace.output[..., :6], trace.images[..., :6], raw=trace.raw[..., :6].contiguous())
    torch.testing.assert_close(term(name)(trace), term(name)(alone))


def elbo_parts(size: tuple[int, int], batch: int) -> tuple[torch.Tensor, torch.Tensor, Trace]:
    recipe = small("variational", "4").with_settings(["bottleneck.warmup=0"])
    model = model_of(recipe, size)
    trace = model.trace(pictures(batch, size), generator(3))
    objective = Objective((*image_terms(recipe), *code_terms(model.bottleneck)))
    mean, log_variance = trace.code.parts["mean"], trace.code.parts["log_variance"]
    posterior = Normal(mean, (0.5 * log_variance).exp())
    kl = torch.distributions.kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    log_likelihood = (trace.images * trace.output.log() + (1 - trace.images) * (1 - trace.output).log()).sum(
        (1, 2, 3)
    )
    return objective(trace)[0], kl - log_likelihood, trace


@pytest.mark.parametrize(("size", "batch"), [((12, 12), 5), ((8, 20), 2), ((16, 16), 1)])
def test_bce_and_kl_are_the_negative_elbo_per_pixel_channel_at_every_size(
    size: tuple[int, int], batch: int
) -> None:
    loss, negative_elbo, trace = elbo_parts(size, batch)
    torch.testing.assert_close(loss, negative_elbo / (size[0] * size[1]))
    assert trace.pixels == size[0] * size[1]


def test_a_weight_means_the_same_at_every_batch_size() -> None:
    recipe = small("dense").with_settings(["bottleneck=l2"])
    model = model_of(recipe)
    objective = Objective((*image_terms(recipe), *code_terms(model.bottleneck)))
    images = pictures(6)
    total = objective(model.trace(images, generator()))[0]
    parts = [objective(model.trace(part, generator()))[0] for part in torch.split(images, 2)]
    torch.testing.assert_close(total, torch.cat(parts))


def test_objective_is_the_weighted_sum_and_warms_up_linearly() -> None:
    trace = a_trace()
    terms = (
        Term("a", 2.0, lambda _: torch.ones(3), warmup=0.5),
        Term("b", 3.0, lambda _: torch.full((3,), 144.0), per_image=True),
        Term("game", 1.0, lambda _: torch.full((3,), 7.0), validated=False),
    )
    objective = Objective(terms)
    for progress, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (1.0, 1.0)):
        total, parts = objective(trace, progress)
        torch.testing.assert_close(total, torch.full((3,), 2.0 * share + 3.0 + 7.0))
        assert {k: float(v) for k, v in parts.items()} == {"a": 1.0, "b": 144.0, "game": 7.0}
    torch.testing.assert_close(objective.validated()(trace)[0], torch.full((3,), 5.0))


def test_terms_of_one_objective_never_share_a_name() -> None:
    """An `l1` image term beside an `l1` bottleneck is two lines in the log, not one."""
    for kind in ("l1", "l2"):
        recipe = Recipe(code="4").with_settings(
            ["backbone=dense", f"bottleneck={kind}", "objective.image=l1+mse"]
        )
        terms = (*image_terms(recipe), *code_terms(model_of(recipe).bottleneck))
        assert len({t.name for t in terms}) == len(terms) == 3
