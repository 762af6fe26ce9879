"""The training doctor: every finding provoked by a real, tiny training; and silence about a healthy one.

A suggestion is a setting that the recipe takes; where a tiny training can show it, it cures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.errors import DataError, Hint, ModelFileError
from isthmus.images.store import ImageSet
from isthmus.model import capabilities
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES
from isthmus.training.callbacks import Progress
from isthmus.training.diagnosis.diagnose import early_findings, findings
from isthmus.training.diagnosis.finding import Finding
from isthmus.training.diagnosis.observed import observe
from isthmus.training.losses import DivergedError
from isthmus.training.schedule import Schedule

from .cases import Array, pictures, small, train

MANY = pictures(240, (8, 8))
OTHERS = pictures(80, (8, 8), seed=5)


def noise(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)


def thin(name: str, *settings: str) -> Recipe:
    """A named recipe on a small dense backbone, which trains in a moment."""
    own = ["critic.width=8"] if RECIPES[name]().critic.kind != "none" else []
    given = ["backbone=dense", "backbone.width=64", "code=8", "optimiser.batch=16", *own, *settings]
    return RECIPES[name]().with_settings(given)


def findings_of(model: Autoencoder) -> dict[str, Finding]:
    """Findings by name, each held to its form: one line, and a suggestion that can be followed."""
    all_of_them = isthmus.diagnose(model).findings
    for finding in all_of_them:
        assert "\n" not in str(finding)
        assert finding.message
        assert finding.suggestion
        assert "--" not in finding.suggestion
        if finding.hint.options:
            capabilities.check(followed(model.recipe, finding))
    return {finding.name: finding for finding in all_of_them}


def followed(recipe: Recipe, finding: Finding) -> Recipe:
    """The recipe with the suggestion applied; it must be one that the command line takes."""
    ((option, value),) = finding.hint.options
    match option, value:
        case "settings", tuple():
            return recipe.with_settings(list(value))
        case "code", str():
            return recipe.with_settings([f"code={value}"])
        case _:
            assert option in ("steps", "precision"), option
            return recipe


# ------------------------------------------------------------ a healthy training


@pytest.mark.parametrize(
    "recipe",
    [
        thin("dense"),
        small("conv", "optimiser.batch=16"),
        thin("denoising", "optimiser.rate=0.004"),
        thin("variational"),
        thin("vae-gan"),
    ],
    ids=lambda recipe: recipe.name,
)
def test_a_healthy_training_gives_no_warning(recipe: Recipe) -> None:
    model = train(MANY, recipe, steps=200)
    assert [finding for finding in findings_of(model).values() if finding.severity != "note"] == []
    assert [
        finding for finding in isthmus.diagnose(model, OTHERS).findings if finding.severity != "note"
    ] == []


def test_a_training_of_a_few_steps_is_not_judged_by_its_losses() -> None:
    assert findings_of(train(MANY, small("dense"), steps=20)) == {}


# ------------------------------------------------------------ a loss that is no number


def test_a_rate_far_too_high_is_named_with_the_first_term_that_broke() -> None:
    recipe = small(
        "dense", "backbone.output=linear", "optimiser.name=sgd", "optimiser.rate=1e12", "optimiser.clip=0"
    )
    with pytest.raises(DivergedError, match=r"'mse' became .* at step .*rate 1e\+12") as caught:
        train(MANY, recipe, steps=100)
    assert caught.value.hint == Hint.add(settings=("optimiser.rate=2.5e+11",))


def test_an_image_that_holds_no_numbers_is_named() -> None:
    pixels = (pictures(20) / 255).astype(np.float32)
    pixels[3, 2, 2] = np.nan
    images = ImageSet(pixels, tuple(f"{i}.tif" for i in range(20)))
    with pytest.raises(DivergedError, match=r"NaN or infinity among the pixels of 3\.tif") as caught:
        train(images, small("dense"), steps=5)
    assert caught.value.hint is None


def test_a_weight_that_overflows_is_named_with_its_setting() -> None:
    with pytest.raises(DivergedError, match="weight 1e\\+42 of 'code_l2' is too large") as caught:
        train(MANY, small("dense", "bottleneck=l2", "bottleneck.weight=1e42"), steps=5)
    assert caught.value.hint == Hint.add(settings=("bottleneck.weight=1",))


def test_bfloat16_is_blamed_for_what_float32_can_do(tmp_path: Path) -> None:
    framed = pictures(40)
    framed[:, 0, 0] = 0  # what this weight is multiplied by: 0 in float32, but the weight rounds to infinity
    recipe = small("dense", "optimiser.clip=0")
    first = train(framed, recipe, steps=1)
    weight = next(p for p in first.encoder.parameters() if p.ndim == 2)
    weight[0, 0] = 3.4e38
    first.save(tmp_path / "first.safetensors")
    with pytest.raises(DivergedError, match="bfloat16 is likely too coarse") as caught:
        train(framed, recipe, steps=3, precision="bfloat16", start_from=tmp_path / "first.safetensors")
    assert caught.value.hint == Hint.add(precision="float32")
    train(framed, recipe, steps=3, precision="float32", start_from=tmp_path / "first.safetensors")


# ------------------------------------------------------------ the code


def test_dead_units_are_counted() -> None:
    recipe = small("dense", "bottleneck=l1", "bottleneck.weight=100", code="16")
    sick = findings_of(train(MANY, recipe, steps=200))["dead-units"]
    assert "16 units" in sick.message
    assert sick.severity == "problem"
    assert sick.hint == Hint.add(settings=("bottleneck.weight=10",))
    cured = train(MANY, followed(recipe, sick).with_settings(["bottleneck.weight=0.02"]), steps=200)
    assert "dead-units" not in findings_of(cured)


def test_posterior_collapse_is_noticed_and_cured() -> None:
    recipe = thin("variational", "bottleneck.weight=50")
    sick = findings_of(train(MANY, recipe, steps=300))["posterior-collapse"]
    assert sick.severity == "problem"
    assert "8 of 8" in sick.message
    assert sick.hint == Hint.add(settings=("bottleneck.weight=5",))
    again = sick
    for _ in range(2):  # by tens, down to a β of 1
        recipe = followed(recipe, again)
        left = findings_of(train(MANY, recipe, steps=300))
        if "posterior-collapse" not in left:
            return
        again = left["posterior-collapse"]
    pytest.fail(f"still collapsed: {again}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "judged"),
    [
        ("adversarial", ("critic.rate=0.02", "critic.width=64", "critic.smooth=0"), "codes"),
        ("vae-gan", ("critic.rate=0.01", "critic.width=16", "critic.weight=0"), "images"),
    ],
)
def test_a_critic_that_has_won_is_noticed_also_on_the_way(
    name: str, settings: tuple[str, ...], judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A short training begins with codes of variance 1, which leaves a critic of codes little to win.
    monkeypatch.setattr("isthmus.training.plan.SHORT_STEPS", 0)
    recipe = thin(name, *settings)
    reports: list[Progress] = []
    model = train(MANY, recipe, steps=120, listener=reports.append)
    sick = findings_of(model)["critic-domination"]
    assert f"real {judged}" in sick.message
    on_the_way = [finding.name for progress in reports for finding in progress.findings]
    assert on_the_way.count("critic-domination") == 1
    cured = train(MANY, followed(recipe, sick), steps=120)
    assert "critic-domination" not in findings_of(cured)


def test_a_code_that_copies_is_told_by_scrambled_pixels() -> None:
    recipe = small(
        "dense",
        "backbone.width=",
        "backbone.output=linear",
        "optimiser.rate=0.01",
        "optimiser.batch=32",
        code="64",
    )
    sick = findings_of(train(noise(400), recipe, steps=300))["copying"]
    assert "64 numbers, the image 64" in sick.message
    cured = findings_of(train(noise(400), followed(recipe, sick), steps=300))
    assert not {"copying", "wide-code"} & set(cured)


def test_a_code_that_could_copy_but_does_not_is_only_noted() -> None:
    wide = findings_of(train(MANY, small("dense", code="64"), steps=150))
    assert wide["wide-code"].severity == "note"
    assert "copying" not in wide
    for free in (
        small("dense", "corruption=gaussian", code="64"),
        small("dense", "bottleneck=l1", code="64"),
    ):
        assert "wide-code" not in findings_of(train(MANY, free, steps=50))


# ------------------------------------------------------------ the images and the losses


def test_over_fitting_is_noticed() -> None:
    recipe = small("dense", "backbone.width=256", "optimiser.rate=0.01", code="16")
    sick = findings_of(train(noise(40), recipe, steps=300, validation=0.25))["over-fitting"]
    assert "times that in training" in sick.message or "has risen" in sick.message
    more = findings_of(train(noise(2000), followed(recipe, sick), steps=300, validation=0.25))
    assert "over-fitting" not in more


def test_a_linear_decoder_that_leaves_the_range_is_noticed_and_cured() -> None:
    black_and_white = ((MANY > 90) * 255).astype(np.uint8)
    recipe = small("dense", "backbone.width=", "backbone.output=linear", "optimiser.rate=0.01")
    sick = findings_of(train(black_and_white, recipe, steps=200))["output-range"]
    assert "output-range" not in findings_of(train(black_and_white, followed(recipe, sick), steps=200))


def test_a_drawn_image_may_leave_the_range() -> None:
    black_and_white = ((MANY > 90) * 255).astype(np.uint8)
    drawn = train(black_and_white, small("generative"), steps=5)
    assert observe(drawn, isthmus.read(black_and_white)).outside > 0.02
    assert "output-range" not in findings_of(drawn)


def test_images_in_a_sliver_of_the_range_are_noticed() -> None:
    dark = (MANY // 16).astype(np.uint8)
    sick = findings_of(train(dark, small("dense"), steps=100))["data-range"]
    assert "0 to 0.05" in sick.message
    assert "data-range" in {
        finding.name for finding in isthmus.diagnose(train(MANY, small("dense"), steps=5), dark).findings
    }
    empty = np.full((20, 8, 8, 1), 128, np.uint8)
    assert findings_of(train(empty, small("dense"), steps=5))["data-range"].severity == "problem"


@pytest.mark.parametrize(
    "settings", [("optimiser.rate=1e-5",), ("optimiser.name=sgd", "optimiser.rate=0.02")]
)
def test_a_rate_far_too_low_is_noticed(settings: tuple[str, ...]) -> None:
    recipe = small("dense", *settings, "optimiser.batch=16")
    sick = findings_of(train(MANY, recipe, steps=300))["learning-rate-too-low"]
    usual = {"adamw": "0.002", "sgd": "0.1"}[recipe.optimiser.name]
    assert sick.hint == Hint.add(settings=(f"optimiser.rate={usual}",))


def test_a_rate_far_too_high_is_noticed_and_cured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.training.plan.SHORT_STEPS", 0)  # begin as a longer training does
    garments = isthmus.read("fashion-sample").subset(range(1500))
    recipe = small("dense", "backbone.width=64", "optimiser.rate=0.3", "optimiser.batch=64", code="16")
    sick = findings_of(train(garments, recipe, steps=200))
    assert "learning-rate-too-high" in sick
    recipe = followed(recipe, sick["learning-rate-too-high"])
    assert recipe.optimiser.rate == 0.002
    assert findings_of(train(garments, recipe, steps=200)) == {}


def test_a_penalty_that_outweighs_the_images_leaves_nothing_learned() -> None:
    recipe = small("dense", "bottleneck=l2", "bottleneck.weight=1e4", "optimiser.batch=16")
    sick = findings_of(train(MANY, recipe, steps=200))["nothing-learned"]
    assert sick.severity == "problem"
    assert sick.hint == Hint.add(settings=("bottleneck.weight=1e+03",))


# ------------------------------------------------------------ where findings go


def test_findings_travel_in_the_model_and_are_made_anew_for_other_images(tmp_path: Path) -> None:
    model = train(MANY, small("dense", code="64"), steps=20)
    model.save(tmp_path / "m.safetensors")
    again = isthmus.load(tmp_path / "m.safetensors")
    assert isthmus.diagnose(again).findings == isthmus.diagnose(model).findings != ()
    assert json.loads(json.dumps(again.summary["findings"])) == [
        finding.to_dict() for finding in isthmus.diagnose(model).findings
    ]
    assert [finding.name for finding in isthmus.diagnose(again, MANY).findings] == ["wide-code"]


def test_models_from_before_there_were_findings_are_judged_by_their_history() -> None:
    model = train(
        noise(40), small("dense", "optimiser.rate=0.01", "backbone.width=256", code="16"), steps=300
    )
    del model.summary["findings"]
    assert "over-fitting" in {finding.name for finding in isthmus.diagnose(model).findings}
    model.summary = {}
    assert isthmus.diagnose(model).findings == ()


@pytest.mark.parametrize(
    "summary", [{"findings": [1]}, {"findings": [{}]}, {"history": [{}]}, {"history": 3}]
)
def test_a_damaged_summary_is_refused(summary: dict[str, Any]) -> None:
    model = train(MANY, small("dense"), steps=2)
    model.summary = summary
    with pytest.raises(ModelFileError, match="summary is damaged"):
        isthmus.diagnose(model)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(DataError, match="has RGB images and the model reads gray ones"):
        isthmus.diagnose(train(MANY, small("dense"), steps=2), pictures(4, channels=3))


def test_the_doctor_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = train(MANY, small("variational"), steps=120)
    monkeypatch.setattr("isthmus.training.trainer_setup.early_findings", lambda *_, **__: ())
    alone = train(MANY, small("variational"), steps=120)
    own, other = watched.state_dict(), alone.state_dict()
    assert all(torch.equal(own[k], other[k]) for k in own)


@pytest.mark.parametrize("name", ["conv", "recurrent", "sparse", "contractive", "attention"])
def test_what_is_observed_lies_in_its_bounds(name: str) -> None:
    model = train(MANY[:40], small(name), steps=5)
    observed = observe(model, isthmus.read(OTHERS))
    assert observed == observe(model, isthmus.read(OTHERS))
    assert observed.images == len(OTHERS)
    assert observed.image_numbers == 64
    assert 0 <= observed.constant_units <= observed.units <= observed.code_numbers
    assert observed.explained <= 1
    assert 0 <= observed.outside <= 1
    assert 0 <= observed.low <= observed.high <= 1


def test_photos_larger_than_the_crops_are_observed_by_their_middle() -> None:
    model = train(pictures(30, (40, 48)), small("conv", code="4@4"), steps=5, crop=16)
    assert observe(model, isthmus.read(pictures(5, (64, 40)))).image_numbers == 256


def test_no_history_no_judgement() -> None:
    assert early_findings((), Recipe(code="8"), Schedule.linear(100)) == ()
    assert findings((), Recipe(code="8"), Schedule.linear(100), None) == ()
