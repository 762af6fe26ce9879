"""The stacked backbone: layer shapes as one reads them off a description, unit columns, borders, mirrors."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from isthmus.model import axes
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe

from .cases import model_of, pictures


def stacked(code: str, *settings: str, size: tuple[int, int] = (12, 12)) -> Autoencoder:
    return model_of(Recipe(code=code).with_settings(["backbone=stacked", *settings]), size)


def convolutions(module: nn.Module) -> list[tuple[str, int, int]]:
    return [
        ("transposed" if isinstance(m, nn.ConvTranspose2d) else "conv", m.in_channels, m.out_channels)
        for m in module.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]


def test_a_grid_code_is_what_the_last_convolution_gives_and_the_decoder_mirrors() -> None:
    model = stacked("5@8", "backbone.width=16-8")
    assert convolutions(model.encoder) == [("conv", 1, 16), ("conv", 16, 8), ("conv", 8, 5)]
    assert convolutions(model.decoder) == [
        ("transposed", 5, 8),
        ("transposed", 8, 16),
        ("transposed", 16, 1),
    ]


def test_a_vector_is_a_linear_layer_on_the_last_grid_and_unfolded_again() -> None:
    model = stacked("5", "backbone.width=16-8", size=(12, 20))
    assert convolutions(model.encoder) == [("conv", 1, 16), ("conv", 16, 8)]
    linear = next(m for m in model.encoder.modules() if isinstance(m, nn.Linear))
    assert (linear.in_features, linear.out_features) == (8 * 3 * 5, 5)
    assert convolutions(model.decoder) == [("transposed", 8, 16), ("transposed", 16, 1)]


def test_one_decoder_width_more_puts_a_plain_convolution_at_the_end() -> None:
    model = stacked("5@4", "backbone.width=16", "backbone.decoder=7-6")
    assert convolutions(model.decoder) == [("transposed", 5, 7), ("transposed", 7, 6), ("conv", 6, 1)]


@pytest.mark.parametrize(("code", "width", "used"), [("5@16", "4-6", [4, 6, 6]), ("5@4", "4-6", [4])])
def test_a_grid_takes_as_many_widths_as_its_stride_needs(code: str, width: str, used: list[int]) -> None:
    model = stacked(code, f"backbone.width={width}", size=(32, 32))
    assert [outputs for _, _, outputs in convolutions(model.encoder)] == [*used, 5]


@pytest.mark.parametrize("up", ["transposed", "nearest"])
@pytest.mark.parametrize("code", ["6", "6@4"])
def test_a_sparse_code_cannot_be_made_cheap_by_large_decoder_weights(code: str, up: str) -> None:
    """The decoder's first layer has columns of unit norm, so scaling its weights changes nothing."""
    settings = ["bottleneck=l1", "positions=coordinates", f"backbone.up={up}"]
    model = stacked(code, *settings).eval()
    values = model.encode_batch(pictures(3)) + 0.5
    before = model.decode_batch(values, (12, 12))
    with torch.no_grad():
        if code == "6":
            model.decoder.get_parameter("entry.weight").mul_(7.0)
        else:
            first = next(m for m in model.decoder.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d))
            rows = first.weight if up == "transposed" else first.weight.transpose(0, 1)
            rows[:6].mul_(7.0)  # the code's channels; positions may weigh what they like
    torch.testing.assert_close(model.decode_batch(values, (12, 12)), before)
    assert not torch.equal(model.decode_batch(2 * values, (12, 12)), before)


def test_with_reflected_borders_a_flat_image_has_the_same_code_everywhere() -> None:
    """Borders of zeros tell a convolution where it is; reflected ones do not."""
    flat = torch.full((1, 1, 24, 24), 0.7)

    def spread(*settings: str) -> float:
        code = stacked("4@4", "backbone.up=nearest", *settings, size=(24, 24)).encode_batch(flat).detach()
        return float((code.amax((2, 3)) - code.amin((2, 3))).max())

    assert spread("backbone.padding=reflect") < 1e-5 < 1e-3 < spread("backbone.padding=zeros")


@pytest.mark.parametrize("bottleneck", ["plain", "l2"])
def test_a_rectified_code_is_the_positive_part_of_the_plain_one(bottleneck: str) -> None:
    recipe = Recipe(code="8", backbone=axes.Dense(width=(16,))).with_settings([f"bottleneck={bottleneck}"])
    images = pictures(20)
    plain = model_of(recipe).encode_batch(images).detach()
    rectified = model_of(recipe.with_settings(["bottleneck.rectified=true"])).encode_batch(images).detach()
    assert float(plain.min()) < 0 < float(plain.max())
    assert torch.equal(rectified, plain.clamp_min(0))


@pytest.mark.parametrize(
    ("decoder", "sizes"),
    [("auto", [(8, 4), (4, 16), (16, 144)]), ("6", [(8, 6), (6, 144)]), ("none", [(8, 144)])],
)
def test_a_dense_decoder_mirrors_or_has_its_own_layers(decoder: str, sizes: list[tuple[int, int]]) -> None:
    recipe = Recipe(code="8").with_settings(
        ["backbone=dense", "backbone.width=16-4", f"backbone.decoder={decoder}"]
    )
    shapes = [tuple(p.shape)[::-1] for p in model_of(recipe).decoder.parameters() if p.ndim == 2]
    assert shapes == sizes
