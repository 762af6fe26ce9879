"""Every combination of the product space is either refused with a reason or trains."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import CapabilityError
from isthmus.model import capabilities
from isthmus.model.autoencoder import build
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES

from .cross_product import AXES, SIZE, Combination, covering, everything, train_two_steps

REFUSED_EXAMPLES = [
    Combination("dense", "none", "none", "plain", "none", "6@4"),
    Combination("recurrent", "none", "none", "plain", "none", "6@4"),
    Combination("dense", "learned", "none", "plain", "none", "6"),
    Combination("attention", "none", "none", "plain", "none", "6"),
    Combination("attention", "none", "mask", "plain", "none", "6@4"),
    Combination("filters", "none", "none", "plain", "none", "6"),
    Combination("filters", "learned", "none", "plain", "none", "6@4"),
    Combination("conv", "none", "none", "quantised", "on-codes", "6"),
    Combination("conv", "none", "none", "entropy", "on-images", "6@4"),
    Combination("conv", "none", "none", "l1", "on-codes", "6"),
    Combination("conv", "none", "none", "gaussian", "on-codes", "6"),
    Combination("conv", "none", "none", "plain", "on-images", "6"),
]


@pytest.mark.slow
def test_refusals_are_exactly_those_the_rules_state() -> None:
    wrong = [c for c in everything() if (capabilities.refusal(c.recipe()) is None) != c.allowed()]
    assert wrong == []


def test_the_covering_part_holds_what_it_promises() -> None:
    chosen, allowed = covering(), [c for c in everything() if c.allowed()]
    axis_sets = [*itertools.combinations((*AXES, "code"), 2), ("backbone", "bottleneck", "code")]
    for names in [*axis_sets, ("backbone", "corruption", "positions")]:
        values = [{tuple(getattr(c, n) for n in names) for c in part} for part in (chosen, allowed)]
        assert values[0] == values[1], names


@pytest.mark.parametrize("combination", covering(), ids=lambda c: "-".join(vars(c).values()))
def test_an_allowed_combination_trains(combination: Combination) -> None:
    train_two_steps(combination.recipe())


@pytest.mark.parametrize("combination", REFUSED_EXAMPLES, ids=lambda c: "-".join(vars(c).values()))
def test_a_refused_combination_says_why_wherever_it_is_asked_for(combination: Combination) -> None:
    recipe = combination.recipe()
    with pytest.raises(CapabilityError) as built:
        build(recipe, channels=1, size=SIZE)
    with pytest.raises(CapabilityError) as trained:
        isthmus.train(np.zeros((4, *SIZE, 1), np.uint8), recipe=recipe, steps=1, precision="float32")
    assert built.value.message == trained.value.message == capabilities.refusal(recipe)
    assert built.value.exit_code == 2
    assert len(built.value.message) > 30


DIFFERENCE = ["backbone.predicts=difference"]
SHALLOW = ["backbone.decoder=shallow", "backbone.start=cosine", "backbone.output=linear"]
CONTRACTIVE = ["bottleneck=contractive", "backbone.width=4", "backbone.blocks=1"]


@pytest.mark.parametrize(
    ("code", "settings", "reason"),
    [
        ("8", [*CONTRACTIVE, "backbone.norm=batch"], "batch normalisation"),
        ("8", [*CONTRACTIVE, "backbone.down=pool"], "max pooling"),
        ("8", ["backbone=dense", "backbone.output=linear", "objective.image=bce"], "output=sigmoid"),
        (
            "8",
            ["backbone=dense", "backbone.output=linear", "objective.image=0.5*mse+0.5*bce"],
            "output=sigmoid",
        ),
        ("8", ["backbone.skips=true"], "grid"),
        ("8@4", ["backbone.skips=true", "bottleneck=gaussian"], "plain"),
        ("8@4", ["backbone.skips=true", "critic=on-codes"], "critic"),
        ("8@4", ["backbone.predicts=difference", "backbone.output=linear"], "needs backbone.skips=true"),
        ("8@4", ["backbone.predicts=difference", "backbone.skips=true"], "output=linear"),
        ("8", ["bottleneck=top-k", "bottleneck.k=9"], "top-k"),
        ("8", ["bottleneck=l0", "bottleneck.active=9"], "active"),
        ("8", ["bottleneck=quantised", "bottleneck.method=vq", "bottleneck.groups=3"], "groups"),
        ("8", ["backbone=attention", "positions=learned", "backbone.width=30"], "divide"),
        ("8", ["backbone=attention", "positions=learned", "backbone.width=32-32"], "one token width"),
        ("8@4", ["backbone=attention", "positions=learned", "backbone.patch=8"], "patch"),
        ("8", ["backbone=recurrent", "backbone.width=8-8"], "one hidden size"),
        ("8", ["backbone.width="], "at least one width"),
        ("8", ["backbone.stem=3"], "power of two"),
        ("8@8", ["backbone.stem=2", "backbone.depth=3"], "1/16"),
        ("8", ["backbone.norm=batch", "optimiser.name=gd"], "full-batch"),
        ("8", ["backbone=stacked", "backbone.width="], "width per halving"),
        ("8@1", ["backbone=stacked"], "begin at 1/2"),
        ("8@4", ["backbone=stacked", "backbone.padding=reflect"], "borders of zeros"),
        ("8@4", ["backbone=stacked", "backbone.decoder="], "2 doublings take 1, or 2"),
        ("8", ["backbone=stacked", "backbone.decoder=8-8-8-8"], "2 doublings take 2, or 3"),
        ("8", ["backbone=stacked", "backbone.norm=batch", "bottleneck=contractive"], "batch normalisation"),
        ("8", ["backbone=stacked", "backbone.down=pool", "bottleneck=contractive"], "max pooling"),
        ("8", ["backbone=stacked", "backbone.norm=batch", "optimiser.name=gd"], "full-batch"),
        ("8", ["bottleneck.rectified=true", "critic=on-codes"], "rectified"),
        ("8", ["bottleneck=l2", "bottleneck.rectified=true", "critic=on-codes"], "rectified"),
        ("8", ["backbone.start=cosine", "backbone.output=linear"], "grid"),
        ("8@8", ["backbone=filters", "backbone.side=6"], "gaps"),
        ("8@4", ["backbone.start=cosine"], "output=linear"),
        ("8@4", ["backbone.refines=true"], "add backbone.start=cosine"),
        ("8", ["backbone.encoder=linear"], "grid code"),
        ("8@4", ["backbone.encoder=linear", "backbone.skips=true"], "has none"),
        ("8@4", ["backbone.encoder=linear", "positions=coordinates"], "has none"),
        ("8@4", ["backbone.decoder=shallow"], "add backbone.start=cosine"),
        ("8@4", [*SHALLOW, "backbone.skips=true"], "has none"),
        ("8@4", [*SHALLOW, "positions=coordinates"], "has none"),
        ("8", SHALLOW, "grid"),
        ("8@4", ["backbone.overlap=true"], "add backbone.decoder=shallow"),
        ("8@1", [*SHALLOW, "backbone.overlap=true"], "single pixel"),
        (
            "8@8",
            ["backbone.start=cosine", "backbone.output=linear", "backbone.skips=true", *DIFFERENCE],
            "no straight path",
        ),
    ],
)
def test_settings_that_cannot_go_together_are_refused(code: str, settings: list[str], reason: str) -> None:
    recipe = Recipe(code=code).with_settings(settings)
    with pytest.raises(CapabilityError, match=reason):
        build(recipe, channels=1, size=(16, 16))


VARIANTS = {
    "vq in a vector": ("8", ["bottleneck=quantised", "bottleneck.method=vq", "bottleneck.entries=8"]),
    "vq in a grid": ("6@4", ["bottleneck=quantised", "bottleneck.method=vq", "bottleneck.entries=8"]),
    "vq without groups of four": ("6", ["bottleneck=quantised", "bottleneck.method=vq"]),
    "steered l0": ("8", ["bottleneck=l0", "bottleneck.active=3"]),
    "free bits": ("8", ["bottleneck=gaussian", "bottleneck.free_bits=0.1"]),
    "batch norm": ("8", ["backbone.norm=batch"]),
    "dense batch norm": ("8", ["backbone=dense", "backbone.width=8-8", "backbone.norm=batch"]),
    "skips": ("8@4", ["backbone.skips=true"]),
    "difference": (
        "8@4",
        [
            *("backbone.skips=true", "backbone.predicts=difference", "backbone.output=linear"),
            *("corruption=gaussian", "corruption.condition=true"),
        ],
    ),
    "reflect": ("8", ["backbone.padding=reflect"]),
    "reflected single pixel": ("8@8", ["backbone.padding=reflect", "backbone.stem=8"]),
    "pool and nearest": ("8", ["backbone.down=pool", "backbone.up=nearest"]),
    "transposed": ("8", ["backbone.up=transposed", "backbone.residual=false", "backbone.activation=leaky"]),
    "no blocks": ("8", ["backbone.blocks=0"]),
    "no halving": ("8", ["backbone.depth=0", "backbone.stem=1"]),
    "stacked with pooling": (
        "8", ["backbone=stacked", "backbone.down=pool", "backbone.up=nearest", "backbone.padding=reflect"]
    ),
    "stacked, ending in a plain convolution": ("8@4", ["backbone=stacked", "backbone.decoder=6-5"]),
    "stacked with another decoder": (
        "8", ["backbone=stacked", "backbone.decoder=3-7-5", "backbone.norm=batch", "bottleneck=l1"]
    ),
    "stacked, of the code's layer alone": (
        "8@2", ["backbone=stacked", "backbone.width=none", "backbone.up=nearest", "bottleneck=kl-sparse"]
    ),
    "stacked and told where it is": ("8@4", ["backbone=stacked", "positions=learned", "bottleneck=l1"]),
    "rectified": ("8", ["bottleneck.rectified=true"]),
    "rectified ridge": ("8", ["bottleneck=l2", "bottleneck.rectified=true"]),
    "dense with another decoder": ("8", ["backbone=dense", "backbone.width=8", "backbone.decoder=4-6"]),
    "dense with a linear decoder": ("8", ["backbone=dense", "backbone.width=8", "backbone.decoder=none"]),
    "one dense layer": ("8", ["backbone=dense", "backbone.width=", "bottleneck=contractive"]),
    "contractive sigmoid": (
        "8",
        ["backbone=dense", "backbone.width=", "backbone.activation=sigmoid", "bottleneck=contractive"],
    ),
    "deep gru": ("8", ["backbone=recurrent", "backbone.depth=2", "backbone.width=8"]),
    "hidden pixels": (
        "8", ["backbone=attention", "positions=learned", "corruption=mask", "corruption.shape=pixels"]
    ),
    "missing only": ("8", ["corruption=mask", "corruption.shape=blocks", "corruption.loss=missing"]),
    "told the noise": ("8", ["corruption=gaussian", "corruption.condition=true", "corruption.sigma_low=5"]),
    "every image term": ("8", ["objective.image=mse+bce+l1+psnr+ssim@0.5+gaussian-nll"]),
    "cosine start": ("8@4", ["backbone.start=cosine", "backbone.output=linear"]),
    "cosine start, refined": (
        "8@4",
        ["backbone.start=cosine", "backbone.output=linear", "backbone.refines=true"],
    ),
    "a shallow decoder": ("8@4", [*SHALLOW, "backbone.stem=4", "backbone.norm=batch"]),
    "a shallow decoder of overlapping pieces": (
        "8@4", [*SHALLOW, "backbone.overlap=true", "backbone.padding=reflect", "backbone.correction=3"]
    ),
    "a linear encoder": ("8@4", ["backbone.encoder=linear", "backbone.finest=3"]),
    "cosine start of a wide code": ("24@4", ["backbone.start=cosine", "backbone.output=linear"]),
    "a range of rates": ("6@4", ["bottleneck=entropy", "bottleneck.low=0.002"]),
    "a vector at a range of rates": ("6", ["bottleneck=entropy", "bottleneck.low=0.002"]),
    "values in context": ("6@4", ["bottleneck=entropy", "bottleneck.context=true"]),
    "vector values in context": (
        "6", ["bottleneck=entropy", "bottleneck.context=true", "bottleneck.low=0.01"]
    ),
    "linear output": ("8", ["backbone.output=linear", "objective.image=gaussian-nll"]),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_what_the_product_of_kinds_does_not_reach_trains_too(name: str) -> None:
    code, settings = VARIANTS[name]
    thin = ["backbone.width=4", "backbone.blocks=1"] if not any("backbone=" in s for s in settings) else []
    if "backbone=attention" in settings:
        thin = ["backbone.width=8", "backbone.heads=2", "backbone.depth=1"]
    train_two_steps(Recipe(code=code).with_settings([*thin, *settings]))


@pytest.mark.parametrize("size", [(13, 21), (1, 17)])
def test_a_model_with_skips_reconstructs_and_refuses_to_decode(size: tuple[int, int]) -> None:
    recipe = Recipe(code="4@4").with_settings(["backbone.skips=true", "backbone.width=4"])
    model = build(recipe, channels=3, size=(16, 16)).eval()
    images = torch.rand(2, 3, *size)
    assert model.reconstruct(images).shape == images.shape
    code = model.encode(images)
    with pytest.raises(CapabilityError, match="cannot decode"):
        model.decode(code)
    for use in ("generate", "compress"):
        with pytest.raises(CapabilityError, match=f"cannot {use}"):
            capabilities.check_use(recipe, use)


@pytest.mark.parametrize("size", [(13, 21), (16, 16)])
def test_a_network_that_predicts_the_difference_begins_as_the_identity(size: tuple[int, int]) -> None:
    recipe = RECIPES["denoising"]().with_settings(["backbone.width=4-8", "backbone.blocks=1", "code=8@8"])
    model = build(recipe, channels=3, size=(16, 16))
    model.start_at(torch.full((3,), 0.7), torch.tensor(0.2))
    images = torch.rand(2, 3, *size)
    torch.testing.assert_close(model.reconstruct(images), images, rtol=0, atol=0)
