"""Patches that attend to one another: what is hidden stays hidden, however many tokens are left."""

from __future__ import annotations

import pytest
import torch

from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe

from .cases import generator, model_of, pictures

SIZE, PATCH = (16, 12), 4


def attentive(code: str, positions: str = "learned") -> Autoencoder:
    recipe = Recipe(code=code).with_settings(
        ["backbone=attention", "backbone.width=16", "backbone.depth=2", "backbone.heads=2", "corruption=mask"]
        + [f"positions={positions}", "corruption.condition=false"]
        + (["backbone.patch=4"] if "@" not in code else [])
    )
    return model_of(recipe, SIZE).eval()


def visibility(tokens: list[list[int]]) -> torch.Tensor:
    """`(N, 1, H, W)` with only the listed tokens of each image visible."""
    grid = torch.zeros(len(tokens), SIZE[0] // PATCH * (SIZE[1] // PATCH), dtype=torch.bool)
    for row, token in zip(grid, tokens, strict=True):
        row[token] = True
    patches = grid.view(len(tokens), 1, SIZE[0] // PATCH, SIZE[1] // PATCH)
    return patches.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)


MIXED = visibility([[0, 3, 7], [1], list(range(12)), [5, 6, 7, 8, 11]])


@pytest.mark.parametrize("code", ["6", "6@4"])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "coordinates"])
def test_hidden_pixels_never_reach_the_code(code: str, positions: str) -> None:
    model = attentive(code, positions)
    images = pictures(4, SIZE)
    others = torch.where(MIXED, images, torch.rand(images.shape, generator=generator(7)))
    with torch.no_grad():
        first, second = model.encoder(images, MIXED).h, model.encoder(others, MIXED).h
        features = model.encoder(torch.where(MIXED, images + 0.3, images), MIXED).h
    assert torch.equal(first, second)
    assert bool(((first - features).flatten(1).abs().amax(1) > 1e-4).all())


@pytest.mark.parametrize("code", ["6", "6@4"])
def test_an_image_with_few_tokens_is_not_changed_by_its_fuller_neighbours(code: str) -> None:
    model = attentive(code)
    images = pictures(4, SIZE)
    with torch.no_grad():
        together = model.encoder(images, MIXED).h
        alone = torch.cat([model.encoder(images[i : i + 1], MIXED[i : i + 1]).h for i in range(4)])
        unmasked = model.encoder(images[2:3], None).h
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together[2:3], unmasked, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("code", ["6", "6@4"])
def test_no_visible_token_at_all_still_gives_a_code(code: str) -> None:
    model = attentive(code)
    nothing = visibility([[], [2]])
    with torch.no_grad():
        h = model.encoder(pictures(2, SIZE) * nothing, nothing).h
        other = model.encoder(pictures(2, SIZE, seed=9) * nothing, nothing).h
    assert bool(h.isfinite().all())
    assert torch.equal(h[0], other[0])


def test_every_hidden_token_is_decoded_by_its_place() -> None:
    """With the whole image hidden the parts of the output still differ: positions tell them apart."""
    model = attentive("6")
    nothing = visibility([[]])
    with torch.no_grad():
        code = model.encoder(pictures(1, SIZE) * nothing, nothing).h
        patches = torch.nn.functional.pixel_unshuffle(model.decode_raw(code, SIZE, []), PATCH)
    assert bool((patches.flatten(2).std(-1) > 1e-6).all())


@pytest.mark.parametrize("size", [(16, 12), (9, 30), (4, 4)])
def test_a_grid_code_of_attention_takes_other_sizes(size: tuple[int, int]) -> None:
    model = attentive("6@4")
    images = pictures(2, size)
    assert model.reconstruct(images).shape == images.shape
