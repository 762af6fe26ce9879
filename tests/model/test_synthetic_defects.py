"""Planted defects: what is changed is marked, what is marked is changed, and all of it can be repeated."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from isthmus.errors import CapabilityError
from isthmus.model import axes, capabilities, synthetic_defects, terms
from isthmus.model.autoencoder import Autoencoder, build
from isthmus.model.corruptions import corrupt
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES, resolve_recipe
from isthmus.model.synthetic_defects import CONTENTS, LARGE_CONTENTS, Content, Random, Source
from isthmus.model.trace import Corrupted, Trace

from .cases import pictures


def _name(of: object) -> str:
    return str(getattr(of, "__name__", of))


def textured(count: int = 4, size: tuple[int, int] = (40, 52), channels: int = 1) -> Tensor:
    noise = torch.rand((count, channels, *size), generator=torch.Generator().manual_seed(3))
    return 0.5 * pictures(count, size, channels) + 0.3 * noise + 0.1


def planted(images: Tensor, seed: int = 0, **settings: float) -> Corrupted:
    how = axes.SyntheticDefects(**settings)  # type: ignore[arg-type]
    return corrupt(images, how, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 40), (40, 52)])
def test_the_target_is_clean_and_what_is_far_from_marks_is_unchanged(
    channels: int, size: tuple[int, int]
) -> None:
    images = textured(4, size, channels)
    before = images.clone()
    marks = 0.0
    for seed in range(12):
        corrupted = planted(images, seed, clean=0.0)
        assert corrupted.mask is not None
        assert corrupted.mask.shape == (4, 1, *size) and set(corrupted.mask.unique().tolist()) <= {0.0, 1.0}
        assert float(corrupted.input.min()) >= 0 and float(corrupted.input.max()) <= 1
        assert torch.equal(corrupted.target, before) and torch.equal(images, before)
        changed = (corrupted.input - images).abs().amax(1, keepdim=True)
        untouched = corrupted.mask.amax((1, 2, 3)) == 0
        assert float(changed[untouched].sum()) == 0
        marks += float(corrupted.mask.sum())
    assert marks > 0


def test_marked_pixels_were_changed_and_a_share_of_images_is_left_alone() -> None:
    images = textured(64)
    corrupted = planted(images, clean=0.5)
    assert corrupted.mask is not None
    touched = corrupted.mask.amax((1, 2, 3)) > 0
    assert 15 < int(touched.sum()) < 49
    change = (corrupted.input - images).abs()
    inside = (change * corrupted.mask).sum() / corrupted.mask.sum()
    outside = (change * (1 - corrupted.mask)).sum() / (1 - corrupted.mask).sum()
    assert inside > 0.05 and inside > 10 * outside


def test_there_are_defects_of_all_sizes() -> None:
    corrupted = planted(textured(200), clean=0.0, count=1)
    assert corrupted.mask is not None
    share = corrupted.mask.mean((1, 2, 3))
    share = share[share > 0]
    assert float(share.min()) < 0.01 < 0.05 < float(share.max())
    assert bool((share > 0.95).any()), "the level of the whole image"
    assert len(share) > 150


def test_without_large_ones_none_covers_half_of_the_image() -> None:
    corrupted = planted(textured(60), clean=0.0, count=1, large=0.0)
    assert corrupted.mask is not None and 0 < float(corrupted.mask.mean((1, 2, 3)).max()) < 0.5


def test_the_same_generator_plants_the_same() -> None:
    images = textured()
    first, again, other = planted(images, 5), planted(images, 5), planted(images, 6)
    assert first.mask is not None and again.mask is not None
    assert torch.equal(first.input, again.input) and torch.equal(first.mask, again.mask)
    assert not torch.equal(first.input, other.input)


def test_pasting_a_plain_image_into_itself_is_no_defect() -> None:
    images = torch.full((3, 1, 32, 32), 0.5)
    pasting = [content for content in CONTENTS if "paste_from" in _name(content)]
    for content in pasting:
        made = content(Source(images[0], images, 0, 0.04, 8.0), Random(torch.Generator().manual_seed(0)))
        assert torch.equal(made, images[0])


@pytest.mark.parametrize("content", sorted({*CONTENTS, *LARGE_CONTENTS}, key=_name))
def test_every_content_changes_the_image(content: Content) -> None:
    images = textured(3)
    random = Random(torch.Generator().manual_seed(1))
    made = content(Source(images[0], images, 0, 0.04, 10.0), random)
    assert made.shape == images[0].shape and bool(made.isfinite().all())
    assert float((made - images[0]).abs().mean()) > 0.01


@pytest.mark.parametrize("shape", sorted({*synthetic_defects.SMALL, *synthetic_defects.LARGE}, key=_name))
def test_every_shape_is_a_map_from_0_to_1(shape: object) -> None:
    assert callable(shape)
    random = Random(torch.Generator().manual_seed(1))
    drawn = torch.stack([shape((30, 41), 12.0, random) for _ in range(20)])
    assert drawn.shape == (20, 30, 41) and 0 <= float(drawn.min()) < 0.01 + float(drawn.min() == 1)
    assert float(drawn.max()) > 0.9


def trace_of(model: Autoencoder, marked: Tensor, mask: Tensor) -> Trace:
    images = torch.rand(len(mask), 1, *mask.shape[-2:])
    trace = model.trace(images, torch.Generator().manual_seed(0))
    trace.marked, trace.corrupted = marked, Corrupted(images, images, mask=mask)
    return trace


def test_terms_of_the_mask_have_the_values_of_their_formulas() -> None:
    model = build(resolve_recipe("defects", "4@4", ["backbone.width=4-4"]), channels=1, size=(10, 10))
    mask = torch.zeros(2, 1, 10, 10)
    mask[0, 0, :5] = 1
    even = trace_of(model, torch.zeros(2, 1, 10, 10), mask)
    half = math.log(2)
    assert terms.mask_bce(even).tolist() == pytest.approx([half, half])
    assert terms.mask_focal(even).tolist() == pytest.approx([half / 4, half / 4])
    assert terms.mask_dice(even).tolist() == pytest.approx([1 - 51 / 76, 1 - 1 / 26])
    assert terms.mask_image(even).tolist() == pytest.approx([half, half])
    right = trace_of(model, 40 * mask - 20, mask)
    for term in (terms.mask_bce, terms.mask_focal, terms.mask_dice, terms.mask_image):
        assert term(right).tolist() == pytest.approx([0, 0], abs=1e-6)
    top = torch.full((2, 1, 10, 10), -20.0)
    top[:, 0, 0, 0] = 3.0  # one of a hundred pixels decides for the image
    losses = terms.mask_image(trace_of(model, top, mask)).tolist()
    assert losses == pytest.approx([math.log1p(math.exp(-3)), math.log1p(math.exp(3))])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["code=8@16", "backbone=conv", "objective.image=mse"], "nothing teaches"),
        (["code=8@16", "corruption=none"], "needs a corruption that plants them"),
        (["code=8@4", "backbone=filters"], "no channel that marks"),
        (["code=8@8", "backbone=conv", "backbone.encoder=linear"], "no channel that marks"),
        (["code=8@8"], "1/16"),
        (["code=64"], "1/16"),
        (["code=8@16", "bottleneck=gaussian"], "plain"),
        (["code=8@16", "critic=on-codes"], "critic"),
        (["code=8@16", "backbone.output=sigmoid"], "output=linear"),
        (["code=8@16", "backbone.scale=3"], "power of two"),
        (["code=8@16", "objective.weight=0"], "silences"),
    ],
)
def test_what_cannot_mark_defects_is_refused(settings: list[str], reason: str) -> None:
    recipe = RECIPES["defects"]().with_settings(settings)
    assert reason in (capabilities.refusal(recipe) or "")


def test_a_model_without_planted_defects_marks_nothing() -> None:
    model = build(Recipe(code="4@4").with_settings(["backbone.width=4"]), channels=1, size=(8, 8))
    with pytest.raises(CapabilityError, match="does not mark defects"):
        model.mark_batch(torch.zeros(1, 1, 8, 8))


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (13, 21), (32, 32)])
def test_an_untrained_model_changes_nothing_and_marks_little(channels: int, size: tuple[int, int]) -> None:
    model = build(resolve_recipe("defects", "8@16"), channels=channels, size=(32, 32))
    model.start_at(torch.full((channels,), 0.4), torch.tensor(0.2))
    images = torch.rand(2, channels, *size)
    torch.testing.assert_close(model(images), images, rtol=0, atol=0)
    torch.testing.assert_close(torch.as_tensor(model.reconstruct(images)), images, rtol=0, atol=0)
    marked = model.mark_batch(images)
    assert marked.shape == (2, *size) and float(marked.detach().max()) < -1


def test_the_network_of_the_recipe_is_small() -> None:
    model = build(resolve_recipe("defects", "64@16"), channels=1, size=(128, 128))
    assert 150_000 < sum(p.numel() for p in model.parameters()) < 250_000
