"""What is asked of a training and what is settled before its first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import isthmus
from isthmus.errors import DataError, OutputError, UsageError
from isthmus.images.store import ImageSet
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipes import resolve_recipe
from isthmus.training.config import TrainConfig
from isthmus.training.plan import TrainPlan
from isthmus.training.trainer import Trainer
from isthmus.training.trainer_setup import time_step

from .cases import mixed_sizes, open_training, pictures, run_training, small, train


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 5, "epochs": 2}, "one length"),
        ({"epochs": 1, "minutes": 2}, "one length"),
        ({"steps": 0}, "length"),
        ({"steps": -3}, "length"),
        ({"steps": 2.5}, "whole number"),
        ({"epochs": float("nan")}, "length"),
        ({"minutes": float("inf")}, "length"),
        ({"minutes": "long"}, "number"),
        ({"validation": 1.0}, "hold out"),
        ({"validation": -0.1}, "hold out"),
        ({"validation": float("nan")}, "hold out"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 1.5}, "whole number"),
        ({"seed": None}, "whole number"),
        ({"patience": -1}, "patience"),
        ({"checkpoint_seconds": -1}, "checkpoint_seconds"),
        ({"precision": "float16"}, "known: auto, float32, bfloat16"),
        ({"size": (0, 4)}, "each side"),
        ({"size": (4, 4, 4)}, "height and a width"),
        ({"size": "28x28"}, "height and a width"),
        ({"crop": 40000}, "each side"),
        ({"size": 8, "crop": 9}, "larger"),
        ({"epoch": 5}, "did you mean 'epochs'"),
        ({"learning_rate": 0.1}, "train has no option"),
    ],
)
def test_a_wrong_option_is_said_before_anything_is_read(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        isthmus.train("no/such/data", recipe="dense", **options)
    assert words in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"recipe": "dens"}, "dense"),
        ({"code": "64@5"}, "power of two"),
        ({"settings": ["backbone.widht=3"]}, "width"),
        ({"settings": ["objective.image=mes"]}, "mse"),
    ],
)
def test_a_wrong_recipe_is_said_before_anything_is_read(how: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_training("no/such/data", **how)


def test_numpy_numbers_are_as_good_as_pythons(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    numbers = {"seed": np.int64(3), "patience": np.int8(1), "validation": np.float32(0.25)}
    model = train(pictures(), small("dense"), out=out, steps=np.int32(2), **numbers)
    assert model.summary["settled"]["seed"] == 3
    assert model.summary["data"]["held_out"] == 10
    assert isthmus.load(out).summary["options"]["validation"] == 0.25


@given(
    st.builds(
        TrainPlan,
        size=st.tuples(st.integers(1, 99), st.integers(1, 99)),
        is_crop=st.booleans(),
        batch=st.integers(1, 99),
        steps=st.integers(1, 99),
        validate_every=st.integers(1, 9),
        precision=st.sampled_from(["float32", "bfloat16"]),
        seed=st.integers(0, 2**62),
        notes=st.lists(st.text()).map(tuple),
    )
)
def test_a_plan_survives_json(plan: TrainPlan) -> None:
    import json

    config = TrainConfig(patience=0)
    assert TrainPlan.from_dict(json.loads(json.dumps(plan.to_dict())), config) == plan


def test_a_code_may_be_a_number_and_settings_a_mapping() -> None:
    recipe = resolve_recipe("dense", 16, {"backbone.width": (9,)})  # type: ignore[arg-type]
    assert (recipe.code, recipe.geometry.channels) == ("16", 16)
    assert resolve_recipe("dense", None, ["code=5"]).code == "5"


# ------------------------------------------------------------ what is settled from the data


def ready(
    data: Any, recipe: str = "dense", *, val: Any = None, code: str | None = None, **options: Any
) -> Trainer:
    asked = {"steps": 3, "precision": "float32", **options}
    return open_training(data, small(recipe, code=code), val=val, **asked)


def model_of(trainer: Trainer) -> Autoencoder:
    assert isinstance(trainer.learner.module, Autoencoder)
    return trainer.learner.module


def test_the_time_of_a_step_is_measured_for_a_length_in_minutes_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def measured(*_: object, **__: object) -> float:
        raise AssertionError("the clock was read")

    monkeypatch.setattr("isthmus.training.trainer_setup.time_step", measured)
    ready(pictures(), steps=4)
    ready(pictures(), steps=None, epochs=2)
    ready(pictures(), precision="auto")
    with pytest.raises(AssertionError, match="clock"):
        ready(pictures(), steps=None, minutes=1)


@pytest.mark.parametrize(
    ("flags", "recipe", "options", "precision"),
    [
        ({"amx_bf16": True}, "conv", {}, "bfloat16"),
        ({"avx512_bf16": True}, "conv", {}, "bfloat16"),
        ({"avx512_bf16": True}, "conv", {"precision": "float32"}, "float32"),
        ({"avx512_bf16": False, "avx2": True}, "conv", {}, "float32"),
        ({"avx512_bf16": False, "avx2": True}, "conv", {"precision": "bfloat16"}, "bfloat16"),
        ({"amx_bf16": True}, "contractive", {}, "float32"),
        ({}, "dense", {}, "float32"),
    ],
)
def test_precision_follows_from_the_processors_flags(
    flags: dict[str, bool],
    recipe: str,
    options: dict[str, Any],
    precision: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    plan = ready(pictures(), recipe, **{"precision": "auto", **options}).plan
    assert plan.precision == precision
    assert any(f"precision {precision}" in note for note in plan.notes)


def test_a_length_in_minutes_is_planned_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.training.trainer_setup.time_step", lambda *_, **__: 0.5)
    plan = ready(pictures(), steps=None, minutes=1).plan
    assert plan.steps == 110
    assert any("1 minute is about 110 steps" in note for note in plan.notes)


def test_measuring_changes_nothing_that_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.training.trainer_setup.time_step", time_step)  # not that of conftest.py
    monkeypatch.setattr("isthmus.training.trainer_setup.SECONDS", 0)
    timed = ready(pictures(), steps=None, minutes=0.01)
    untimed = ready(pictures(), steps=400)  # fewer would begin as a short training does
    first, second = timed.learner.module.state_dict(), untimed.learner.module.state_dict()
    assert all((first[k] == second[k]).all() for k in first)
    assert timed.plan.step_seconds > 0


def test_a_recipes_own_length_holds_unless_another_is_asked_for() -> None:
    def steps(**options: Any) -> int:
        chosen = small("dense", "optimiser.epochs=3")
        return open_training(pictures(40), chosen, precision="float32", validation=0.1, **options).plan.steps

    assert steps() == steps(epochs=3) == 14  # 36 images in batches of 8, three times
    assert steps(epochs=1) == 5
    assert steps(steps=2) == 2


def test_a_length_in_minutes_overrules_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.training.trainer_setup.time_step", lambda *_, **__: 1.0)
    recipe = small("dense", "optimiser.epochs=3")
    assert 90 <= open_training(pictures(), recipe, precision="float32", minutes=2).plan.steps <= 120


def test_the_length_in_epochs_counts_the_images_that_are_trained_on() -> None:
    prepared = ready(pictures(40), steps=None, epochs=3, validation=0.1)
    assert len(prepared.data.train) == 36
    assert prepared.plan.batch == 8
    assert prepared.plan.steps == 14  # 3 × 36 / 8, rounded up


def test_copies_of_an_image_never_stand_on_both_sides() -> None:
    once = pictures(30)
    prepared = ready(np.concatenate([once, once[:20], once[:10], once[::-1]]), validation=0.3)
    assert prepared.data.held_out is not None
    train_side, other = (
        set(prepared.data.train.hashes().tolist()),
        set(prepared.data.held_out.hashes().tolist()),
    )
    assert not train_side & other
    assert len(train_side | other) == 30
    assert len(prepared.data.train) + len(prepared.data.held_out) == 90


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_images_train_all_the_same(count: int) -> None:
    prepared = ready(pictures(count))
    assert len(prepared.data.train) >= 1
    assert train(pictures(count), small("dense"), steps=2).summary["steps"] == 2


@pytest.mark.parametrize("code", ["8", "4@4"])
def test_validation_images_of_another_size_are_made_to_fit(code: str) -> None:
    prepared = ready(pictures(), "conv", code=code, val=pictures(6, (20, 17)))
    assert prepared.data.held_out is not None
    expected_shape = (12, 12, 1) if code == "8" else (20, 17, 1)
    assert prepared.data.held_out.shape == expected_shape
    model = train(pictures(), small("conv", code=code), val=pictures(6, (20, 17)))
    assert model.summary["best"]["validation"] > 0


def test_validation_images_get_the_channels_of_the_others() -> None:
    assert ready(pictures(), val=pictures(5, channels=3)).data.held_out is not None
    four = pictures(12, channels=4)
    held_out = ready(four, val=four[:4]).data.held_out
    assert held_out is not None
    assert held_out.channels == 4
    with pytest.raises(DataError, match="channel"):
        ready(four, val=pictures(5))


def test_mixed_sizes_are_cropped_for_a_grid_and_resized_for_a_vector() -> None:
    grid = ready(mixed_sizes(), "conv", code="4@4")
    assert grid.plan.is_crop
    assert grid.data.train.shape is None
    vector = ready(mixed_sizes(), "conv", code="8")
    assert not vector.plan.is_crop
    assert vector.data.train.shape is not None
    assert vector.data.train.shape[:2] == vector.plan.size
    asked = ready(mixed_sizes(), "conv", code="8", size=(11, 13))
    assert asked.plan.size == (11, 13)


@pytest.mark.parametrize("code", ["8", "4@4"])
def test_small_images_are_trained_on_whole(code: str) -> None:
    prepared = ready(pictures(size=(12, 15)), "conv", code=code)
    assert prepared.plan.size == (12, 15)
    assert not prepared.plan.is_crop
    assert model_of(prepared).size == (12, 15)


def test_an_automatic_code_is_settled_and_recorded() -> None:
    model = train(pictures(), small("conv", code="auto"))
    assert model.recipe.code != "auto"
    assert model.recipe.geometry.channels > 0


def test_balance_needs_labels() -> None:
    with pytest.raises(DataError, match="no labels"):
        ready(pictures(), balance=True)


def test_the_decoder_starts_at_the_mean_of_the_images() -> None:
    data = pictures(channels=3)
    data[..., 1] //= 4
    prepared = ready(data, "dense")
    images: ImageSet = prepared.data.train
    mean = images.stack(range(len(images))).mean((0, 1, 2)) / 255
    np.testing.assert_allclose(model_of(prepared).offset.sigmoid().reshape(-1).numpy(), mean, atol=1e-4)


def test_one_image_a_step_and_batch_normalisation_do_not_go_together() -> None:
    with pytest.raises(UsageError, match="at least two images") as caught:
        train(pictures(), small("dense", "backbone.norm=batch", "optimiser.batch=1"))
    assert caught.value.hint is not None


# ------------------------------------------------------------ where the model goes


def test_an_existing_model_is_refused_before_training_and_replaced_when_forced(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "er" / "m.safetensors"
    train(pictures(), small("dense"), out=out)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists") as caught:
        run_training("no/such/data", recipe="dense", out=out)
    assert caught.value.hint is not None
    assert "force=True" in str(caught.value.hint)
    assert out.read_bytes() == before
    train(pictures(), small("dense"), out=out, force=True, seed=1)
    assert out.read_bytes() != before
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("force", [False, True])
def test_a_path_that_cannot_be_written_is_said_before_the_first_step(tmp_path: Path, force: bool) -> None:
    (tmp_path / "file").write_text("not a folder")
    reports: list[object] = []
    for out in (tmp_path, tmp_path / "file" / "m.safetensors"):
        with pytest.raises(OutputError):
            train(pictures(), small("dense"), out=out, force=force, listener=reports.append)
    assert reports == []


def test_a_code_whose_weights_do_not_fit_is_refused_before_memory_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("isthmus.model.initialisation.memory_bytes", lambda: 8 << 30)
    with pytest.raises(UsageError, match=r"parameters, whose training needs [0-9,]+ GiB") as caught:
        train(pictures(), small("dense", code="999999").with_settings(["backbone.width=60000"]))
    assert "choose a smaller code" in caught.value.message


def test_a_batch_that_does_not_fit_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isthmus.model.allocation.memory_bytes", lambda: 8 << 30)
    with pytest.raises(DataError, match=r"images of 16000×16000 pixels at a time .* give smaller pieces"):
        train(pictures(), small("conv", code="4@4"), crop=16000)


def test_images_are_read_at_the_asked_size_and_not_first_at_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    for i, picture in enumerate(pictures(6, (40, 30))):
        Image.fromarray(picture[..., 0]).save(tmp_path / f"{i}.png")
    asked: list[dict[str, Any]] = []

    def read(data: Any, **how: Any) -> ImageSet:
        asked.append(how)
        return isthmus.read(data, **how)

    monkeypatch.setattr("isthmus.training.data.read", read)
    prepared = open_training(str(tmp_path), small("dense"), steps=2, size=(12, 10), precision="float32")
    assert [how["size"] for how in asked] == [(12, 10)]
    assert prepared.data.train.shape == (12, 10, 1)


def test_one_large_image_trains_on_many_crops_at_once() -> None:
    (picture,) = pictures(1, (300, 200))
    prepared = open_training(picture, small("conv", code="4@4"), steps=2, precision="float32")
    assert prepared.plan.is_crop
    assert prepared.plan.batch > 1
    batch = prepared.batches(0)
    assert len(batch.images) == prepared.plan.batch
    assert len({crop.numpy().tobytes() for crop in batch.images}) > 1


@pytest.mark.parametrize(("code", "side"), [("4@8", 64), ("4@16", 128), ("4@32", 160)])
def test_crops_hold_eight_steps_of_a_coarse_grid_where_the_images_do(code: str, side: int) -> None:
    recipe = resolve_recipe("conv", code, ["backbone.width=4"])
    prepared = open_training(np.zeros((4, 180, 190), np.uint8), recipe, steps=1)
    assert prepared.plan.size == (side, side)
