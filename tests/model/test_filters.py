"""Whitened filters: what whitening, winners and the start promise."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_sample_image

from isthmus.images.reading import read
from isthmus.images.subsets import random_pieces
from isthmus.model.autoencoder import build
from isthmus.model.backbones.filters import FiltersEncoder, whitening, winners
from isthmus.model.initialisation import init_filters
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import recipe

PHOTO = read(load_sample_image("china.jpg")[None])
PIECES = torch.from_numpy(random_pieces(PHOTO, 6, 3000))


def test_whitening_makes_directions_equal_and_holds_weak_ones_back() -> None:
    rows = PIECES.flatten(1)
    mean, whitener = whitening(rows)
    torch.testing.assert_close(whitener, whitener.T, atol=1e-4, rtol=1e-3)
    white = (rows - mean) @ whitener.T
    variances = torch.linalg.eigvalsh(white.T @ white / len(white))
    before = torch.linalg.eigvalsh(torch.cov(rows.T))
    assert float(variances.max()) < 1.05
    # Strong directions come out with variance 1; the spread of all shrinks by orders of magnitude.
    assert float(variances[-10:].min()) > 0.9
    assert float(before.max() / before[20:].min()) > 20 * float(variances.max() / variances[20:].min())


def test_winners_find_the_directions_that_data_have() -> None:
    generator = torch.Generator().manual_seed(0)
    true = torch.nn.functional.normalize(torch.randn(5, 12, generator=generator), dim=1)
    which = torch.randint(5, (2000,), generator=generator)
    rows = true[which] * torch.randn(2000, 1, generator=generator).sign() * 3
    rows = rows + 0.1 * torch.randn(rows.shape, generator=generator)
    directions = winners(rows, 8, seed=0)
    torch.testing.assert_close(torch.linalg.vector_norm(directions, dim=1), torch.ones(8), atol=1e-5, rtol=0)
    assert float((true @ directions.T).abs().max(1).values.min()) > 0.98


def test_a_start_with_winners_reconstructs_before_any_training() -> None:
    chosen = recipe("features").with_settings(["code=64@4", "bottleneck.k=6"])
    images = torch.from_numpy(random_pieces(PHOTO, 24, 40, seed=1))
    errors = {}
    for start in ("random", "winners"):
        model = build(chosen, channels=3, size=(24, 24)).eval()
        model.start_at(images.mean((0, 2, 3)), images.std())
        if start == "winners":
            init_filters(model, PIECES, seed=0)
        with torch.no_grad():
            errors[start] = float((model.reconstruct(images) - images).square().mean())
    variance = float((images - images.mean((0, 2, 3), keepdim=True)).square().mean())
    assert errors["winners"] < 0.3 * variance < errors["random"]


def test_answers_do_not_hang_on_contrast_but_codes_do() -> None:
    chosen = Recipe(code="16@4").with_settings(["backbone=filters"])
    model = build(chosen, channels=3, size=(24, 24)).eval()
    init_filters(model, PIECES, seed=0)
    assert isinstance(model.encoder, FiltersEncoder)
    image = torch.from_numpy(random_pieces(PHOTO, 24, 1, seed=5))
    mean = model.encoder.mean.view(1, 3, 6, 6)[..., 0, 0][..., None, None]
    half = mean + (image - mean) / 2
    with torch.no_grad():
        strong, weak = model.encoder.responses(image), model.encoder.responses(half)
        codes = [model.encode_batch(image_part) for image_part in (image, half)]
    assert strong.shape == (1, 16, 19, 19)
    ratio = np.median((weak / strong).numpy())
    assert 0.85 < ratio <= 1.001
    assert 0.4 < float(codes[1].norm() / codes[0].norm()) < 0.6


def test_images_smaller_than_a_filter_are_answered() -> None:
    model = build(Recipe(code="4@4").with_settings(["backbone=filters"]), channels=1, size=(8, 8)).eval()
    assert isinstance(model.encoder, FiltersEncoder)
    assert model.encoder.responses(torch.rand(2, 1, 3, 9)).shape == (2, 4, 1, 4)
