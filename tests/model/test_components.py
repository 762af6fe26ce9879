"""A code of principal components: whitened, as good as PCA before any step, of large images too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import CapabilityError
from isthmus.images.store import ImageSet
from isthmus.metrics.baselines import PCA
from isthmus.model.backbones.components import ComponentEncoder
from isthmus.model.initialisation import build_for_images
from isthmus.model.recipe import Recipe

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
        seen = model(x)
    assert seen.shape == x.shape
    assert float((seen - x).square().mean()) < 0.5 * float(x.var(0).mean())


def test_numbers_beyond_the_components_of_few_images_are_zero() -> None:
    given = images(5, 12)
    model = build_for_images(recipe("16"), given, (12, 12), seed=0).eval()
    codes = model.encode(given.stack(range(5))).values
    assert bool((codes[:, 4:] == 0).all())


def test_components_do_not_move_and_sharpening_does() -> None:
    given = images(40, 12)
    before = build_for_images(recipe("8"), given, (12, 12), seed=0)
    after = isthmus.train(given, recipe=recipe("8"), steps=4, validation=0, seed=0)
    first, last = before.state_dict(), after.state_dict()
    assert torch.equal(first["encoder.directions"], last["encoder.directions"])
    assert not torch.equal(first["decoder.last.weight"], last["decoder.last.weight"])


def test_components_are_never_private() -> None:
    with pytest.raises(CapabilityError, match="principal components of the images"):
        isthmus.train(images(20, 12), recipe=recipe("4"), steps=1, private=5.0)


def test_colour_images_train_a_generative_model() -> None:
    thin = ["backbone.width=4-8", "backbone.blocks=1", "critic.width=4", "code=6"]
    model = isthmus.train(images(40, 16, 3), recipe="generative", settings=thin, steps=3)
    made = isthmus.generate(model, 3)
    assert made.pixels.shape == (3, 16, 16, 3)
    assert (made.prior, made.reference) == ("flow", "model")
