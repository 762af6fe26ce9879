"""Priors draw codes like those they were fitted to, of the class asked for, and can be turned back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import CapabilityError, DataError, ModelFileError, UsageError
from isthmus.generation.codes import encode_images
from isthmus.generation.flow import fit_moments
from isthmus.generation.flow_training import fit_channels, fit_flow
from isthmus.generation.mixture import Mixture, fit_mixture
from isthmus.generation.prior import class_index, draw_codes
from isthmus.generation.prior_store import list_priors, measure_copies, read_prior
from isthmus.model.autoencoder import build
from isthmus.model.recipes import FAMILIES

from .models import discs, fresh, untrained


def drawn_images(model: Any, count: int, **options: Any) -> np.ndarray:
    pixels: np.ndarray = isthmus.generate(model, count, **options).pixels
    return pixels


def two_moons(count: int, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    angle = random.uniform(0, np.pi, count)
    x = np.where(labels == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], 1) + random.normal(0, 0.05, (count, 2))
    return torch.from_numpy(points).float(), labels.astype(np.int64)


def test_a_gaussian_has_the_mean_and_covariance_of_the_codes() -> None:
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(3000, 3, generator=random) @ torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 3]]) + 5
    prior = fit_mixture(codes, components=1)
    assert prior.kind == "gaussian"
    drawn = draw_codes(prior, (3,), 20_000)
    torch.testing.assert_close(drawn.mean(0), codes.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), codes.T.cov(), atol=0.3, rtol=0.05)


@pytest.mark.parametrize("numbers", [5, 400])
def test_codes_turned_into_noise_come_back(numbers: int) -> None:
    random = torch.Generator().manual_seed(1)
    codes = torch.randn(300, numbers, generator=random).cumsum(1)
    prior = fit_mixture(codes, components=3, dimensions=64)
    parts = prior.parts_of(codes)
    noise = prior.to_noise(codes, parts)
    torch.testing.assert_close(prior.from_noise(noise, parts), codes, atol=2e-2, rtol=1e-3)


def test_a_mixture_draws_the_class_that_is_asked_for() -> None:
    codes, labels = two_moons(600)
    prior = fit_mixture(codes, components=8, labels=labels, classes=("up", "down"))
    assert prior.classes == ("up", "down")
    up = draw_codes(prior, (2,), 400, label=class_index(prior, "UP"))
    down = draw_codes(prior, (2,), 400, label=1)
    assert float(up[:, 1].mean()) > 0.4
    assert float(down[:, 1].mean()) < 0.1
    with pytest.raises(UsageError, match="no class is called 'sideways'"):
        class_index(prior, "sideways")


def test_an_untrained_flow_is_its_mixture_and_a_trained_one_is_nearer_to_the_codes() -> None:
    codes, labels = two_moons(1000)
    base = fit_mixture(codes, components=2, labels=labels, classes=("up", "down"))
    short = fit_flow(codes, base, labels=labels, steps=1, width=32, depth=1, rate=0.0)
    short = replace(short, moments=None)
    assert torch.allclose(draw_codes(short, (2,), 50, seed=3), draw_codes(base, (2,), 50, seed=3), atol=1e-5)
    flow = fit_flow(codes, base, labels=labels, steps=300, width=64, depth=2, rate=5e-3, batch=256)
    off_the_moon = [
        float((draw_codes(p, (2,), 500, label=0).norm(dim=1) - 1).abs().mean()) for p in (base, flow)
    ]
    assert off_the_moon[1] < 0.5 * off_the_moon[0]
    up = codes[:100:2]
    parts = flow.parts_of(up, 0)
    noise = flow.to_noise(up, parts, steps=100)
    torch.testing.assert_close(flow.from_noise(noise, parts, steps=100), up, atol=0.02, rtol=0)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_samples_are_given_the_moments_that_they_should_have(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    mix = torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 0.1]])
    target_codes = torch.einsum("ij,nj...->ni...", mix, torch.randn(4000, *shape)) + 1
    made = 0.9 * torch.randn(3000, *shape) - 2
    map_ = fit_moments(made, target_codes)
    mapped = map_.apply(made)
    for moment, real in zip(moments_of(mapped), moments_of(target_codes), strict=True):
        torch.testing.assert_close(moment, real, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(map_.invert(mapped), made, atol=1e-4, rtol=0)
    few = fit_moments(made[:20], target_codes[:20])
    assert torch.equal(few.matrix, few.matrix[0, 0] * torch.eye(3))


def moments_of(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows = codes.transpose(0, 1).flatten(1)
    return rows.mean(1), torch.cov(rows)


@pytest.mark.parametrize("kind", ["gaussian", "mixture", pytest.param("flow", marks=pytest.mark.slow)])
def test_a_prior_travels_in_the_model_file(kind: Any, tmp_path: Path) -> None:
    model = fresh()
    how: dict[str, Any] = {"mixture": {"components": 4}, "flow": {"steps": 20}}.get(kind, {})
    isthmus.fit_prior(model, discs(240), kind=kind, **how)
    before = drawn_images(model, 3, seed=5)
    model.save(tmp_path / "m.safetensors")
    loaded = isthmus.load(tmp_path / "m.safetensors")
    assert list_priors(loaded) == (kind,)
    assert np.array_equal(drawn_images(loaded, 3, seed=5), before)
    assert not np.array_equal(drawn_images(loaded, 3, seed=6), before)
    assert read_prior(loaded).classes == ("left", "right")


def test_images_of_a_class_lie_where_the_class_does() -> None:
    model = fresh()
    isthmus.fit_prior(model, discs(240), kind="mixture", components=6)
    left, right = (drawn_images(model, 40, label=name).astype(float) for name in ("left", "right"))
    assert left.shape == (40, 12, 12, 1)
    assert left[:, :, :6].mean() > 2 * left[:, :, 6:].mean()
    assert right[:, :, 6:].mean() > 2 * right[:, :, :6].mean()


def test_variations_are_like_the_image_and_the_less_so_the_stronger() -> None:
    model, images = fresh(), discs(240)
    isthmus.fit_prior(model, images, kind="mixture", components=6)
    image = images.image(4)
    same = drawn_images(model, 8, like=image, strength=0.0)
    near = drawn_images(model, 8, like=image, strength=0.3)
    far = drawn_images(model, 8, like=image, strength=1.0)
    reconstruction = model.reconstruct(image).astype(float)

    def error(made: np.ndarray) -> float:
        return float(np.square(made.astype(float) - reconstruction).mean())

    assert error(same) < 4
    assert error(same) < error(near) < error(far)


def test_a_low_temperature_keeps_variations_near() -> None:
    model, images = fresh(), discs(240)
    isthmus.fit_prior(model, images, kind="mixture", components=6)
    cold, hot = (
        drawn_images(model, 30, like=images.image(4), strength=0.6, temperature=t).astype(float)
        for t in (0.3, 1.0)
    )
    assert cold.var(0).mean() < 0.5 * hot.var(0).mean()


def test_what_cannot_be_drawn_is_said_before_anything_is() -> None:
    model, images = fresh("4@4"), discs(60)
    isthmus.fit_prior(model, images, kind="flow", steps=2, width=8)
    with pytest.raises(DataError, match="ask for fewer"):
        drawn_images(model, 10**12)
    with pytest.raises(DataError, match="99999×99999 pixels"):
        drawn_images(model, 1, size=(99_999, 99_999))
    with pytest.raises(UsageError, match="leave out either size or like"):
        drawn_images(model, 1, like=images.image(0), size=(12, 12))
    for temperature in (float("nan"), float("inf")):
        with pytest.raises(UsageError, match="temperature"):
            drawn_images(model, 1, temperature=temperature)


def test_a_class_of_which_nothing_was_seen_is_refused() -> None:
    codes, labels = two_moons(60)
    names = ("up", "down", "never")
    prior = fit_mixture(codes, components=3, labels=labels, classes=names)
    grids = fit_channels(codes[:, :, None, None], labels, names)
    for each_prior in (prior, grids):
        with pytest.raises(UsageError, match="no image of class 'never'"):
            each_prior.parts(4, 2, torch.Generator())


def test_temperature_zero_is_the_middle_of_a_part() -> None:
    codes, _ = two_moons(200)
    prior = fit_mixture(codes, components=1)
    drawn = draw_codes(prior, (2,), 5, temperature=0.0)
    torch.testing.assert_close(drawn, prior.means.expand(5, 2) @ prior.space.basis + prior.space.mean)


def test_a_grid_prior_draws_other_sizes() -> None:
    model = fresh("4@4")
    isthmus.fit_prior(model, discs(240), kind="flow", steps=8, width=16)
    assert drawn_images(model, 2).shape == (2, 12, 12, 1)
    assert drawn_images(model, 2, size=(24, 16)).shape == (2, 24, 16, 1)
    isthmus.fit_prior(model, discs(240), kind="mixture", components=4)
    with pytest.raises(UsageError, match="draws codes"):
        drawn_images(model, 2, prior="mixture", size=(24, 16))


def test_labels_can_be_left_out_and_variations_keep_the_code() -> None:
    model, images = fresh(), discs(100)
    assert isthmus.fit_prior(model, images, kind="mixture", components=3, use_labels=False).classes == ()
    prior = read_prior(model)
    codes = encode_images(model, images)
    parts = prior.parts_of(codes, None)
    kept_codes = prior.from_noise(prior.to_noise(codes, parts), parts)
    torch.testing.assert_close(kept_codes, codes, atol=1e-3, rtol=1e-3)
    with pytest.raises(UsageError, match="has no classes"):
        drawn_images(model, 1, label="left")


def test_a_model_without_a_prior_says_how_to_get_one() -> None:
    with pytest.raises(DataError, match="has no prior") as caught:
        drawn_images(fresh(), 1)
    assert str(caught.value.hint) == "add reference=DATA"
    with pytest.raises(UsageError, match="no flow prior") as caught_kind:
        drawn_images(fresh(), 1, prior="flow")
    assert str(caught_kind.value.hint) == "isthmus.fit_prior(MODEL, TRAINING_DATA, kind='flow')"
    assert drawn_images(fresh(), 1, reference=discs(40)).shape == (1, 12, 12, 1)
    assert list_priors(fresh()) == ()
    assert read_prior(untrained("variational")).kind == "normal"
    assert read_prior(untrained("adversarial")).kind == "normal"


def test_discrete_codes_and_networks_with_skips_are_refused() -> None:
    for settings in (["bottleneck=quantised"], ["backbone.skips=true", "code=4@4"]):
        with pytest.raises(CapabilityError, match="cannot generate"):
            drawn_images(untrained("conv", "backbone.width=8", "backbone.blocks=1", *settings), 1)


def test_sparse_codes_stay_sparse() -> None:
    model = untrained("sparse", "backbone.width=8", "bottleneck.k=3")
    values = model.bottleneck.project(torch.randn(20, 8))
    assert torch.equal((values != 0).sum(1), torch.full((20,), 3))


def test_a_damaged_prior_is_named() -> None:
    model = fresh()
    isthmus.fit_prior(model, discs(60), kind="gaussian")
    model.attachments["prior/gaussian"].tensors["means"] = torch.zeros(2, 3)
    with pytest.raises(ModelFileError, match="gaussian prior is damaged"):
        drawn_images(model, 1)


def test_the_mixture_survives_few_codes() -> None:
    codes = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    prior = fit_mixture(codes, components=100, labels=np.array([0, 0, 0, 0, 0, 1]), classes=("a", "b"))
    assert isinstance(prior, Mixture)
    assert bool(draw_codes(prior, (10,), 50).isfinite().all())


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_generates_or_says_why_not(name: str) -> None:
    recipe = FAMILIES[name]()
    if recipe.code == "auto":
        recipe = recipe.with_settings(["code=8@16" if recipe.backbone.has_skips else "code=8"])
    elif "@" in recipe.code:  # the prior's covariance grows with the square of the code
        recipe = recipe.with_settings([f"code=16@{recipe.geometry.stride}"])
    model = build(recipe, channels=1, size=(16, 16))
    images = discs(12, side=16)
    if name in ("denoising", "inpainting", "codec", "transform-pairs", "defects"):
        with pytest.raises(CapabilityError, match="cannot generate"):
            isthmus.fit_prior(model, images, kind="gaussian")
        return
    isthmus.fit_prior(model, images, kind="gaussian")
    assert drawn_images(model, 2, label="right").shape == (2, 16, 16, 1)
    assert drawn_images(model, 2, like=images.image(0)).shape == (2, 16, 16, 1)


def test_attention_refines_a_gaussian_of_grid_codes_and_can_be_guided(tmp_path: Path) -> None:
    model, images = fresh("4@4"), discs(240)
    isthmus.fit_prior(model, images, kind="attention", steps=20, width=32)
    made = drawn_images(model, 3, label="right", seed=5)
    assert made.shape == (3, 12, 12, 1)
    assert not np.array_equal(drawn_images(model, 3, label="right", seed=5, guidance=3.0), made)
    model.save(tmp_path / "m.safetensors")
    loaded = isthmus.load(tmp_path / "m.safetensors")
    assert list_priors(loaded) == ("attention",)
    assert np.array_equal(drawn_images(loaded, 3, label="right", seed=5), made)
    with pytest.raises(UsageError, match="draws codes"):
        drawn_images(model, 2, size=(24, 16))
    with pytest.raises(UsageError, match="grid codes"):
        isthmus.fit_prior(fresh(), images, kind="attention")


def test_only_a_prior_that_was_trained_for_it_is_guided() -> None:
    model = fresh()
    isthmus.fit_prior(model, discs(60), kind="gaussian")
    with pytest.raises(UsageError, match="cannot be guided"):
        drawn_images(model, 1, guidance=2.0)
    with pytest.raises(UsageError, match="guidance"):
        drawn_images(model, 1, guidance=float("nan"))


def test_a_generative_model_without_its_flow_is_told_to_fit_one() -> None:
    thin = ["backbone.width=4-8", "code=4"]
    model = isthmus.train(discs(40, side=16), recipe="generative", settings=thin, steps=2)
    assert len(isthmus.generate(model, 2, guidance=2.0).pixels) == 2
    isthmus.fit_prior(model, discs(40, side=16), kind="mixture")
    with pytest.raises(UsageError, match="cannot be guided") as error:
        isthmus.generate(model, 2, prior="mixture", guidance=2.0)
    assert "flow" in str(error.value.hint)


def test_a_prior_that_repeats_its_images_is_found_out() -> None:
    codes = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    fair = fit_mixture(codes, components=1)
    copier = fit_mixture(codes[:2].repeat(200, 1) + 1e-5 * codes, components=1)
    assert 0.01 < measure_copies(fair, codes) < 0.12
    narrow = replace(copier, means=copier.space.encode(codes[:1]), factors=1e-4 * copier.factors)
    assert measure_copies(narrow, codes) > 0.95
    model = fresh()
    isthmus.fit_prior(model, discs(240), kind="mixture", components=4)
    assert model.attachments["prior/mixture"].facts["copied"] < 0.5
    model.attachments["prior/mixture"].facts["copied"] = 0.6
    result = isthmus.generate(model, 2)
    assert result.copied == 0.6
    assert any("60% of what this prior draws" in note for note in result.notes)


def clustered(count: int, numbers: int = 40, seed: int = 0) -> torch.Tensor:
    """Codes in tight groups of ten, as of pictures of the same objects."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(count // 10, numbers, generator=random)
    return centres.repeat(10, 1) + 0.2 * torch.randn(count, numbers, generator=random)


def test_few_codes_in_clusters_are_drawn_in_clusters() -> None:
    codes = clustered(400)
    one, many = (fit_mixture(codes, components=100, may_share=share) for share in (False, True))
    assert many.factors.shape == (1, 40, 40)
    assert len(many.weights) > 20
    nearest = [float(torch.cdist(draw_codes(p, (40,), 200), codes).amin(1).mean()) for p in (one, many)]
    assert nearest[1] < 0.6 * nearest[0]
    labels = np.repeat([0, 1], 200)
    by_class = fit_mixture(codes, components=100, labels=labels, classes=("a", "b"))
    assert by_class.forms.unique().tolist() == [0, 1]
    parts = by_class.parts_of(codes)
    torch.testing.assert_close(by_class.from_noise(by_class.to_noise(codes, parts), parts), codes)
    stored = Mixture.from_state(*by_class.state())
    assert torch.equal(draw_codes(stored, (40,), 9), draw_codes(by_class, (40,), 9))
    assert torch.equal(stored.log_joint(codes), by_class.log_joint(codes))


def test_no_cluster_is_a_single_code() -> None:
    codes = torch.cat([clustered(200), 30 + torch.randn(1, 40, generator=torch.Generator().manual_seed(5))])
    many = fit_mixture(codes, components=50)
    assert float((many.means - codes[-1]).norm(dim=1).min()) > 5


def test_codes_without_clusters_get_one_covariance() -> None:
    codes = torch.randn(300, 40, generator=torch.Generator().manual_seed(0))
    assert len(fit_mixture(codes, components=100).weights) == 1
