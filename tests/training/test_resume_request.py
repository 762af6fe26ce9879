"""A resumed training goes on to a longer length; any other difference is refused, with its field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import isthmus
from isthmus.errors import Stopped, UsageError
from isthmus.training import state

from .cases import pictures, run_training, small, stop_after, train
from .test_budget import Clock

RECIPE = small("dense")


def begin(out: Path, patch: pytest.MonkeyPatch, **options: Any) -> Path:
    """A training that was stopped after three steps."""
    stop_after(patch, 3)
    with pytest.raises(Stopped):
        train(pictures(), options.pop("recipe", RECIPE), out=out, **options)
    stop_after(patch, None)
    return out


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return begin(tmp_path / "m.safetensors", monkeypatch, seed=7)


def resume(out: Path, **request: Any) -> isthmus.Autoencoder:
    return run_training(pictures(), out=out, resume=True, **request)


def test_a_longer_length_is_honoured_and_the_schedule_so_far_stays(unfinished: Path) -> None:
    summary = resume(unfinished, steps=20).summary
    assert summary["steps"] == summary["settled"]["steps"] == summary["options"]["steps"] == 20
    assert summary["knots"] == [[0, 0.0], [3, 0.3], [20, 1.0]]
    assert any("resumed with 20 steps instead of 10" in note for note in summary["settled"]["notes"])


def test_a_longer_length_in_epochs_counts_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = begin(tmp_path / "m.safetensors", monkeypatch, steps=None, epochs=2)
    summary = resume(out, epochs=4).summary
    assert summary["steps"] == 18  # 36 images in batches of 8, four times
    assert (summary["options"]["epochs"], summary["options"]["steps"]) == (4, None)


def test_a_longer_training_stopped_twice_equals_one_stopped_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = begin(tmp_path / "once.safetensors", monkeypatch)
    twice = begin(tmp_path / "twice.safetensors", monkeypatch)
    expected = resume(once, steps=20)
    stop_after(monkeypatch, 5)
    with pytest.raises(Stopped):
        resume(twice, steps=20)
    stop_after(monkeypatch, None)
    again = resume(twice, steps=20)  # the same call once more: no other length
    assert again.summary["knots"] == expected.summary["knots"]
    for key, value in expected.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_more_minutes_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "m.safetensors"
    stop_after(monkeypatch, 11)
    length = {"minutes": 0.25, "precision": "float32"}
    with pytest.raises(Stopped):
        run_training(pictures(), recipe=RECIPE, out=out, clock=Clock(), **length)
    stop_after(monkeypatch, None)
    saved = state.load(state.resume_path(out)).facts["state"]
    summary = resume(out, minutes=0.5, clock=Clock()).summary
    assert 26 <= summary["seconds"] <= 30
    before = [knot for knot in saved["knots"] if knot[0] < 11]
    assert summary["knots"][: len(before)] == before
    assert summary["knots"][-1] == [summary["steps"], 1.0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"recipe": "conv"}, "recipe=conv"),
        ({"code": "9"}, "code=9"),
        ({"settings": ["backbone.width=25"]}, "backbone.width"),
        ({"settings": ["bottleneck=l1"]}, "bottleneck.kind=l1"),
        ({"settings": {"optimiser.rate": 0.5}}, "optimiser.rate=0.5"),
        ({"seed": 3}, "seed=3"),
        ({"patience": 3}, "patience=3"),
        ({"size": 8}, "size="),
        ({"augment_orientations": True}, "augment_orientations=True"),
        ({"augment_mirror": True}, "augment_mirror=True"),
        ({"precision": "bfloat16"}, "precision=bfloat16"),
        ({"minutes": 5}, "minutes=5"),
        ({"steps": 3}, "steps=3: the training has already taken 3 steps"),
    ],
)
def test_a_request_that_differs_is_refused_with_its_field(
    unfinished: Path, request_: dict[str, Any], field: str
) -> None:
    before = state.resume_path(unfinished).read_bytes()
    with pytest.raises(UsageError) as caught:
        resume(unfinished, **request_)
    assert field in caught.value.message
    assert caught.value.id.startswith("training.resume-")
    fields = caught.value.fields
    assert fields.get("field", fields.get("name")) == field.partition("=")[0]
    assert state.resume_path(unfinished).read_bytes() == before


def test_the_request_that_began_it_may_be_repeated(unfinished: Path) -> None:
    same = {"recipe": RECIPE, "steps": 10, "seed": 7, "precision": "float32"}
    assert resume(unfinished, **same).summary["steps"] == 10


def test_what_was_chosen_from_the_images_is_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small("conv", code="auto")
    out = begin(tmp_path / "m.safetensors", monkeypatch, recipe=recipe)
    assert resume(out, recipe=recipe).recipe.code != "auto"


def test_other_data_is_refused_with_its_field(unfinished: Path) -> None:
    with pytest.raises(UsageError, match="give the same data") as caught:
        run_training(pictures(seed=1), out=unfinished, resume=True)
    assert caught.value.fields["field"] == "data"
    with pytest.raises(UsageError, match="give the same val") as caught:
        run_training(pictures(), val=pictures(9, seed=2), out=unfinished, resume=True)
    assert caught.value.fields["field"] == "val"


def test_the_noise_of_a_private_training_holds_for_its_steps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opacus")
    out = begin(tmp_path / "m.safetensors", monkeypatch, private=8.0, noise_seed=1)
    with pytest.raises(UsageError, match=r"another length \(steps\)"):
        resume(out, steps=20)
    assert resume(out, private=8.0, noise_seed=1).summary["steps"] == 10
