"""Principal components as the code: whitened, as good as PCA before any step; a decoder that draws detail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import CapabilityError
from isthmus.generation.codes import decode_codes
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import PCA
from isthmus.metrics.structure import fine_detail
from isthmus.model.backbones.components import ComponentEncoder
from isthmus.model.initialisation import build_for_images
from isthmus.model.recipe import Recipe
from isthmus.model.trace import Latent

from .cases import pictures


def images(count: int, side: int, channels: int = 1) -> ImageSet:
    pixels = pictures(count, (side, side), channels).permute(0, 2, 3, 1).mul(255).round().byte().numpy()
    return ImageSet(np.ascontiguousarray(pixels), tuple(map(str, range(count))), source="pictures")


def recipe(code: str, *settings: str) -> Recipe:
    thin = ["backbone=components", "backbone.width=4-8", "backbone.blocks=1", "backbone.stem=2"]
    return Recipe(code=code).with_settings([*thin, *settings])


@pytest.mark.parametrize(("side", "channels"), [(12, 1), (14, 3)])
def test_an_untrained_model_reconstructs_as_principal_components_do(side: int, channels: int) -> None:
    given = images(60, side, channels)
    model = build_for_images(recipe("8"), given, (side, side), seed=0).eval()
    x = torch.from_numpy(given.stack(range(60))).permute(0, 3, 1, 2) / 255
    baseline = PCA(8).fit([x])
    with torch.no_grad():
        ours, theirs = ((made - x).square().mean() for made in (model(x), baseline.reconstruct(x)))
    assert float(ours) == pytest.approx(float(theirs), rel=0.1)
    codes = model.encode_batch(x)
    assert codes.shape == (60, 8)
    torch.testing.assert_close(codes.T.cov(correction=0), torch.eye(8), atol=0.02, rtol=0)


def test_large_images_are_reduced_before_their_components_are_found() -> None:
    given = images(20, 96)
    model = build_for_images(recipe("6"), given, (96, 96), seed=0)
    assert isinstance(model.encoder, ComponentEncoder)
    assert len(model.encoder.mean) == 48 * 48
    x = torch.from_numpy(given.stack(range(20))).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        reconstruction = model(x)
    assert reconstruction.shape == x.shape
    assert float((reconstruction - x).square().mean()) < 0.5 * float(x.var(0).mean())
    assert model.reconstruct(x).shape == x.shape


def test_numbers_beyond_the_components_of_few_images_are_zero() -> None:
    given = images(5, 12)
    model = build_for_images(recipe("16"), given, (12, 12), seed=0).eval()
    codes = model.encode(given.stack(range(5))).values
    assert bool((codes[:, 4:] == 0).all())


def test_components_do_not_move_and_the_denoising_network_does() -> None:
    given = images(40, 12)
    before = build_for_images(recipe("8"), given, (12, 12), seed=0)
    after = isthmus.train(given, recipe=recipe("8"), steps=4, validation=0, seed=0)
    first, last = before.state_dict(), after.state_dict()
    assert torch.equal(first["encoder.directions"], last["encoder.directions"])
    assert not torch.equal(first["decoder.network.last.weight"], last["decoder.network.last.weight"])


@pytest.fixture(scope="module")
def model() -> isthmus.Autoencoder:
    return isthmus.train(images(40, 12), recipe=recipe("8"), steps=30, validation=0, seed=0).eval()


def test_without_a_seed_every_image_is_drawn_from_the_same_noise(model: isthmus.Autoencoder) -> None:
    given = images(6, 12).stack(range(6))
    together = model.reconstruct(given)
    alone = np.concatenate([model.reconstruct(first[None]) for first in given])
    assert np.abs(together.astype(int) - alone).max() <= 1
    codes = model.encode_batch(pictures(1, (12, 12))).expand(3, -1)
    first, two, three = model.decode_batch(codes, (12, 12)).detach()
    torch.testing.assert_close(first, two)
    torch.testing.assert_close(first, three)


def test_with_a_seed_every_image_is_drawn_from_its_own_noise(model: isthmus.Autoencoder) -> None:
    codes = model.encode_batch(pictures(1, (12, 12))).expand(3, -1)
    first, again, other = (decode_codes(model, codes, (12, 12), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    different = [first[0] - first[1], first[0] - first[2], first[0] - other[0]]
    assert min(float(difference.abs().mean()) for difference in different) > 0.01


def test_a_trace_that_draws_nothing_holds_the_reconstruction(model: isthmus.Autoencoder) -> None:
    x = pictures(4, (12, 12))
    with torch.no_grad():
        traced = model.trace(x, torch.Generator().manual_seed(3), sample=False)
    torch.testing.assert_close(traced.output.clamp(0, 1), model.reconstruct(x))


def denoised(doubt: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Of an untrained decoder: weighted squared error and weight of each image, spread of what it draws."""
    given = images(40, 12)
    model = build_for_images(recipe("8", f"backbone.doubt={doubt}"), given, (12, 12), seed=0).eval()
    x = pictures(40, (12, 12)).repeat(10, 1, 1, 1)
    code, estimate = model.decoder.denoise(Latent(model.encode_batch(x)), x, torch.Generator().manual_seed(0))
    assert code.image_weight is not None
    error = (estimate - x).square().mean((1, 2, 3)) * code.image_weight
    return error.detach(), code.image_weight, float(model.decoder.get_buffer("spread"))


def test_an_untrained_network_errs_by_the_velocity_itself() -> None:
    """It gives velocity 0: the weighted error is cos² φ · detail² + sin² φ · noise², both spread²."""
    error, weight, spread = denoised(0)
    assert float(weight.min()) < 1.5
    assert float(weight.max()) > 100
    assert float(error.mean()) == pytest.approx(spread**2, rel=0.1)


def test_every_image_counts_alike_however_noisy_its_code_is() -> None:
    """What noise hides of a code is added to what is drawn, and errors are taken relative to that."""
    error, _, spread = denoised(20)
    assert float(error.mean()) == pytest.approx(spread**2, rel=0.1)


def test_new_images_are_drawn_from_noisy_codes_and_reconstructions_are_not() -> None:
    """An untrained network draws noise around a picture: strong components of the picture differ less."""
    given = images(60, 12)
    few = build_for_images(recipe("8", "backbone.doubt=0"), given, (12, 12), seed=0).eval()
    many = build_for_images(recipe("8", "backbone.doubt=4"), given, (12, 12), seed=0).eval()
    codes = few.encode_batch(pictures(1, (12, 12)))
    torch.testing.assert_close(few.decode_batch(codes, (12, 12)), many.decode_batch(codes, (12, 12)))
    variances = []
    for model in (few, many):
        drawn = decode_codes(model, codes.expand(400, -1), (12, 12), seed=0)
        variances.append(model.encode_batch(drawn).var(0))
    added = variances[1] - variances[0]
    assert float(added[-1]) > 0.1
    assert float(added[0]) < 0.8 * float(added[-1])


def test_the_reconstruction_in_a_training_loop_has_gradients(model: isthmus.Autoencoder) -> None:
    x = pictures(2, (12, 12)).requires_grad_()
    model(x).square().mean().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0


@pytest.mark.slow
def test_detail_that_the_code_does_not_hold_is_drawn_not_averaged() -> None:
    """Stripes with random phases: their mean is no stripe, which is what least squares would paint."""
    random, rows = np.random.default_rng(0), np.arange(16)[:, None] + np.zeros(16)
    phases = random.uniform(0, 2 * np.pi, (600, 1, 1))
    shade = random.uniform(0.35, 0.65, (600, 1, 1))
    pixels = shade + 0.25 * np.sin(rows * np.pi / 2 + phases)
    given = ImageSet(
        (255 * pixels[..., None]).round().astype(np.uint8), tuple(map(str, range(600))), source="stripes"
    )
    thin = recipe("1", "backbone.width=16-32", "backbone.doubt=0")
    model = build_for_images(thin, given, (16, 16), seed=0).train()
    x = torch.from_numpy(given.stack(range(600))).permute(0, 3, 1, 2) / 255
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for step in range(200):
        optimiser.zero_grad()
        model.loss(x[torch.arange(32 * step, 32 * step + 32) % 600])["total"].backward()
        optimiser.step()
    x, model = x[:200], model.eval()
    drawn = decode_codes(model, model.encode_batch(x), (16, 16), seed=0)
    real, painted, made = (float(fine_detail(some).mean()) for some in (x, model(x).detach(), drawn))
    assert painted < 0.6 * real
    assert 0.8 * real < made < 1.2 * real


def test_components_are_never_private() -> None:
    with pytest.raises(CapabilityError, match="principal components of the images"):
        isthmus.train(images(20, 12), recipe=recipe("4"), steps=1, private=5.0)


def test_colour_images_train_a_generative_model() -> None:
    thin = ["backbone.width=4-8", "backbone.blocks=1", "code=6"]
    model = isthmus.train(images(40, 16, 3), recipe="generative", settings=thin, steps=3)
    made = isthmus.generate(model, 3)
    assert made.pixels.shape == (3, 16, 16, 3)
    assert (made.prior, made.reference) == ("flow", "model")
