"""The network's part of the codec: shapes, what it refuses, and that it is as local as it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isthmus.codec.quantisation import quantise
from isthmus.codec.tables import MAX_SYMBOL
from isthmus.codec.transform import (
    analyse,
    check_codec,
    compute_latents,
    margins,
    synthesise,
)
from isthmus.errors import CapabilityError, DataError
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import recipe

THIN = ["backbone.width=12-40", "code=40@16"]  # a decoder as wide as the code hears all of it
STRIDE = 16


def codec(*settings: str, channels: int = 3) -> Autoencoder:
    model = build(recipe("codec").with_settings([*THIN, *settings]), channels=channels, size=(64, 64))
    model.start_at(torch.full((channels,), 0.45), torch.tensor(0.2))
    return model.eval()


def image(height: int, width: int, channels: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 40), (50, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_gives_symbols_of_its_grid_and_comes_back_at_that_size(
    size: tuple[int, int], channels: int
) -> None:
    model = codec(channels=channels)
    symbols = analyse(model, image(*size, channels), 50.0)
    assert symbols.dtype == np.int32
    assert symbols.shape == (40, -(-size[0] // STRIDE), -(-size[1] // STRIDE))
    again = synthesise(model, symbols, 50.0, size)
    assert again.dtype == np.uint8
    assert again.shape == (*size, channels)
    assert np.array_equal(again, synthesise(model, symbols, 50.0, size))


def test_higher_quality_has_finer_steps_and_less_error() -> None:
    model = codec()
    picture = torch.nn.functional.interpolate(image(2, 2), (96, 96), mode="bilinear")
    errors, sizes = [], []
    for quality in (1.0, 33.3, 66.6, 100.0):
        symbols = analyse(model, picture, quality)
        again = synthesise(model, symbols, quality, (96, 96)) / 255
        errors.append(float(np.mean((again - picture[0].permute(1, 2, 0).numpy()) ** 2)))
        sizes.append(int(np.abs(symbols).sum()))
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)
    assert errors[-1] < 0.8 * errors[0]


def test_latents_are_computed_once_for_all_qualities() -> None:
    model, picture = codec(), image(40, 33)
    values = compute_latents(model, picture)
    assert values.shape == (40, 3, 3)
    for quality in (1.0, 57.3, 100.0):
        assert np.array_equal(quantise(model, values, quality), analyse(model, picture, quality))
    assert np.abs(quantise(model, values * 1e9, 100.0)).max() == MAX_SYMBOL


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("backbone.blocks=2",),
        ("backbone.blocks=0",),
        ("backbone.stem=8",),
        ("backbone.stem=2", "backbone.residual=false"),
        ("backbone.down=pool", "backbone.up=nearest"),
        ("backbone.up=transposed",),
        ("backbone.encoder=linear",),
        ("backbone.finest=3",),
        ("backbone.finest=0", "backbone.blocks=2"),
        ("backbone.decoder=shallow",),
        ("backbone.decoder=shallow", "backbone.overlap=true", "backbone.blocks=0", "backbone.finest=1"),
        ("backbone.decoder=shallow", "backbone.overlap=true", "backbone.stem=8", "backbone.finest=2"),
        ("backbone.decoder=shallow", "backbone.overlap=true", "backbone.encoder=linear"),
    ],
)
def test_pieces_widened_by_the_margins_are_the_whole(settings: tuple[str, ...]) -> None:
    """What lies further away than the margins changes nothing."""
    model = codec(*settings)
    ahead, behind = margins(model)
    steps = 2 * max(ahead, behind) + 6
    size = (steps * STRIDE, 2 * STRIDE)
    picture, cut = image(*size), 4  # in steps of the grid
    full_latents = compute_latents(model, picture)
    widened = compute_latents(model, picture[..., : (cut + ahead) * STRIDE, :])
    torch.testing.assert_close(widened[:, :cut], full_latents[:, :cut], atol=1e-5, rtol=1e-5)
    symbols = np.random.default_rng(0).integers(-9, 10, (40, steps, 2)).astype(np.int32)
    painted = synthesise(model, symbols, 90.0, size).astype(int)
    part = synthesise(model, symbols[:, : cut + behind], 90.0, ((cut + behind) * STRIDE, size[1])).astype(int)
    assert np.abs(part[: cut * STRIDE] - painted[: cut * STRIDE]).max() <= 1


def test_the_margins_are_no_wider_than_needed() -> None:
    model = codec()
    ahead, behind = margins(model)
    steps = 2 * max(ahead, behind) + 6
    picture = image(steps * STRIDE, STRIDE)
    full_latents = compute_latents(model, picture)
    narrow = compute_latents(model, picture[..., : (4 + ahead - 1) * STRIDE, :])
    assert bool((narrow[:, :4] != full_latents[:, :4]).any())
    values = torch.randn(1, 40, steps, 1, generator=torch.Generator().manual_seed(1))
    painted = model.decode_raw(values, (steps * STRIDE, STRIDE), [])
    part = model.decode_raw(values[:, :, : 4 + behind - 1], ((4 + behind - 1) * STRIDE, STRIDE), [])
    assert bool((part[..., : 4 * STRIDE, :] != painted[..., : 4 * STRIDE, :]).any())


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (Recipe(code="8@8"), "not integers"),
        (Recipe(code="8").with_settings(["bottleneck=entropy"]), "vector"),
        (Recipe(code="8@8").with_settings(["bottleneck=entropy", "backbone=attention"]), "all of it"),
        (Recipe(code="8@8").with_settings(["bottleneck=entropy", "positions=learned"]), "position"),
        (Recipe(code="8@8").with_settings(["bottleneck=entropy", "corruption=gaussian"]), "corrupted"),
        (Recipe(code="8@8").with_settings(["backbone.skips=true"]), "cannot compress"),
    ],
)
def test_a_model_that_cannot_compress_says_why(refused: Recipe, reason: str) -> None:
    thin = ["backbone.width=8"]
    model = build(refused.with_settings(thin), channels=1, size=(16, 16)).eval()
    for call in (check_codec, margins, lambda m: analyse(m, image(16, 16, 1), 50.0)):
        with pytest.raises(CapabilityError, match=reason):
            call(model)


def test_what_does_not_fit_the_model_is_refused() -> None:
    model = codec()
    with pytest.raises(DataError, match="3 channels"):
        analyse(model, image(16, 16, 1), 50.0)
    with pytest.raises(DataError, match="out of range"):
        analyse(model, image(16, 16), 0.5)
    with pytest.raises(DataError, match="shape"):
        synthesise(model, np.zeros((40, 2, 2), np.int32), 50.0, (16, 16))


def test_a_model_of_one_rate_compresses_too() -> None:
    settings = ["bottleneck=entropy", "backbone.width=8", "backbone.output=linear"]
    model = build(Recipe(code="8@8").with_settings(settings), channels=1, size=(16, 16)).eval()
    symbols = analyse(model, image(20, 20, 1), 1.0)
    assert np.array_equal(symbols, analyse(model, image(20, 20, 1), 100.0))
    assert np.array_equal(symbols, model.encode(image(20, 20, 1)).values[0].numpy())
