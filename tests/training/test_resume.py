"""A training that was stopped and resumed is, bit for bit, the one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus.api.pair_inputs import read_pairs
from isthmus.errors import DataError, ModelFileError, OutputError, Stopped, UsageError
from isthmus.model.autoencoder import Autoencoder
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES
from isthmus.training import state as states

from .cases import labelled, mixed_sizes, pictures, run_training, small, stop_after, train

CASES: dict[str, tuple[Recipe, dict[str, Any]]] = {name: (small(name), {}) for name in RECIPES}
CASES |= {
    "steered l0": (small("dense", "bottleneck=l0", "bottleneck.active=3"), {}),
    "batch norm": (small("conv", "backbone.norm=batch", code="8"), {}),
    "no average": (small("dense", "optimiser.ema=0"), {}),
    "sgd": (small("conv", "optimiser.name=sgd", code="8"), {}),
    "gd in chunks": (small("dense", "optimiser.name=gd"), {}),
    "steps": (small("dense", "optimiser.schedule=step", "optimiser.weight_decay=0.1"), {}),
    "vq": (small("conv", "bottleneck=quantised", "bottleneck.method=vq", code="8@4"), {}),
    "rate": (small("conv", "bottleneck=entropy", "bottleneck.warmup=0.5", code="4@4"), {}),
    "learned σ": (small("dense", "objective.image=gaussian-nll+ssim@0.5"), {}),
    "nothing held out": (small("dense"), {"validation": 0}),
    "bfloat16": (small("conv", code="8"), {"precision": "bfloat16"}),
    "seed": (small("variational"), {"seed": 12345678901234567}),
    "crop": (small("conv", code="4@4"), {"crop": 8}),
}


def held_apart(name: str) -> tuple[Any, Recipe, dict[str, Any]]:
    if name == "balance":
        return labelled(), small("dense"), {"balance": True}
    if name == "mixed sizes":
        return mixed_sizes(), small("conv", code="4@4"), {}
    recipe, options = CASES[name]
    if name == "transform-pairs":
        return read_pairs(pictures(), pictures(seed=1)), recipe, options
    return pictures(), recipe, options


def until(
    step: int | None, patch: pytest.MonkeyPatch, data: Any, out: Path, *, resume: bool, **how: Any
) -> Autoencoder | None:
    stop_after(patch, step)
    try:
        return run_training(data, out=out, resume=True) if resume else train(data, out=out, **how)
    except Stopped as stopped:
        assert stopped.resume_file == str(states.resume_path(out))
        return None


def without_clock(facts: dict[str, Any]) -> dict[str, Any]:
    state = {k: v for k, v in facts["state"].items() if k != "seconds"}
    return {**facts, "state": state}


@pytest.mark.parametrize("name", [*CASES, "balance", "mixed sizes"])
def test_stopped_and_resumed_is_bit_for_bit_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe, options = held_apart(name)
    if name == "gd in chunks":
        monkeypatch.setattr("isthmus.training.players.CHUNK_PIXELS", 12 * 12 * 7)
    how = {"recipe": recipe, **options}
    straight, broken = tmp_path / "straight.safetensors", tmp_path / "broken.safetensors"
    until(7, monkeypatch, data, straight, resume=False, **how)
    until(3, monkeypatch, data, broken, resume=False, **how)
    assert states.load(states.resume_path(broken)).facts["state"]["step"] == 3
    until(4, monkeypatch, data, broken, resume=True)

    straight_state, two = (states.load(states.resume_path(path)) for path in (straight, broken))
    assert straight_state.facts["state"]["step"] == 7
    assert without_clock(straight_state.facts) == without_clock(two.facts)
    assert set(straight_state.tensors) == set(two.tensors)
    kinds = {key.partition(".")[0] for key in straight_state.tensors}
    assert {"model"} < kinds
    assert ("average" in kinds) == (recipe.optimiser.ema > 0)
    assert ("moments" in kinds) == (recipe.optimiser.name != "gd")
    for key, value in straight_state.tensors.items():
        assert torch.equal(value, two.tensors[key]), key

    ended = until(None, monkeypatch, data, broken, resume=True)
    unbroken = train(data, **how)
    assert ended is not None
    assert ended.summary["history"] == unbroken.summary["history"]
    assert ended.summary["best"] == unbroken.summary["best"]
    for key, value in unbroken.state_dict().items():
        assert torch.equal(value, ended.state_dict()[key]), key
    loaded = isthmus.load(broken).state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in ended.state_dict().items())
    assert not states.resume_path(broken).exists()


def test_moments_stay_in_the_layout_of_their_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a resumed run would add in another order."""
    from isthmus.training.trainer_setup import resume_training

    out = tmp_path / "m.safetensors"
    until(3, monkeypatch, pictures(), out, resume=False, recipe=small("conv", code="8"))
    run, _ = resume_training(pictures(), None, out)
    steps_seen = 0
    for optimiser in run.optimisers:
        for parameter, moments in optimiser.state.items():
            if parameter.ndim == 4:
                steps_seen += 1
                assert all(m.stride() == parameter.stride() for m in moments.values() if m.ndim == 4)
    assert steps_seen > 3


@pytest.fixture
def unfinished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    out = tmp_path / "m.safetensors"
    until(3, monkeypatch, pictures(), out, resume=False, recipe=small("dense"))
    stop_after(monkeypatch, None)
    return out


def test_resuming_needs_the_same_images_in_any_order(unfinished: Path) -> None:
    for other in (pictures(seed=1), pictures(39), pictures(41)):
        with pytest.raises(UsageError, match="not the data that this training began with"):
            run_training(other, out=unfinished, resume=True)
    with pytest.raises(UsageError, match="not the data"):
        run_training(pictures(), val=pictures(seed=2), out=unfinished, resume=True)
    assert run_training(pictures()[::-1].copy(), out=unfinished, resume=True).summary["steps"] == 10


def test_resuming_needs_the_same_validation_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, val = tmp_path / "m.safetensors", pictures(9, seed=5)
    until(3, monkeypatch, pictures(), out, resume=False, recipe=small("dense"), val=val)
    with pytest.raises(UsageError, match="not the data"):
        run_training(pictures(), val=pictures(9, seed=6), out=out, resume=True)
    stop_after(monkeypatch, None)
    assert run_training(pictures(), val=val, out=out, resume=True).summary["data"]["held_out"] == 9


def test_another_number_of_threads_is_said_and_recorded(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = torch.get_num_threads()
    monkeypatch.setenv("ISTHMUS_THREADS", str(here + 1))
    model = run_training(pictures(), out=unfinished, resume=True)
    assert any(f"began with {here} thread" in note for note in model.summary["settled"]["notes"])


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no unfinished training"):
        run_training(pictures(), out=tmp_path / "m.safetensors", resume=True)
    with pytest.raises(UsageError, match="path"):
        run_training(pictures(), resume=True)


def test_an_unfinished_training_is_not_overwritten_by_chance(unfinished: Path) -> None:
    with pytest.raises(OutputError, match="unfinished") as caught:
        train(pictures(), small("dense"), out=unfinished)
    assert caught.value.hint is not None
    assert "resume=True" in str(caught.value.hint)
    assert "start again with force" in caught.value.message
    anew = train(pictures(), small("dense"), out=unfinished, force=True, seed=5)
    assert anew.summary["settled"]["seed"] == 5
    assert not states.resume_path(unfinished).exists()


def test_force_also_does_away_with_the_older_state_at_once(
    unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash right after the start must not leave the state of the training that was given up."""
    monkeypatch.setattr(
        "isthmus.training.trainer.Trainer.train_step", lambda _: (_ for _ in ()).throw(MemoryError)
    )
    with pytest.raises(MemoryError):
        train(pictures(), small("dense"), out=unfinished, force=True, seed=5)
    facts = states.load(states.resume_path(unfinished)).facts
    assert facts["settled"]["seed"] == 5
    assert facts["state"]["step"] == 0


@pytest.mark.parametrize(
    "damage", ["cut", "no recipe", "no state", "other recipe", "future", "a model", "junk"]
)
def test_a_damaged_state_gives_one_line(unfinished: Path, damage: str) -> None:
    path = states.resume_path(unfinished)
    saved = states.load(path)
    facts = json.loads(json.dumps(saved.facts))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "junk":
        path.write_bytes(b"this is not a state at all")
    elif damage == "a model":
        from isthmus.model.autoencoder import build

        build(small("dense"), channels=1, size=(12, 12)).save(path)
    else:
        if damage == "future":
            states.FORMAT, keep = 9, states.FORMAT
        elif damage == "other recipe":
            facts["recipe"] = small("dense", "backbone.width=25").to_dict()
        else:
            facts.pop(damage.removeprefix("no "))
        states.save(path, states.Checkpoint(facts, saved.tensors))
        if damage == "future":
            states.FORMAT = keep
    with pytest.raises(ModelFileError) as caught:
        run_training(pictures(), out=unfinished, resume=True)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("counter", "value"),
    [
        ("summed", None),
        ("history", [{"validation": None}]),
        ("budget", 5),
        ("budget", {"seconds": 1.0, "step_seconds": 0.1, "validation_steps": 1.0, "used": "x"}),
        ("budget", {"seconds": 1.0, "step_seconds": 0.1, "validation_steps": 1.0, "used": -1e9}),
        ("budget", {"seconds": 1.0, "step_seconds": 0.1, "validation_steps": 1.0, "recent": [None]}),
    ],
)
def test_a_counter_of_another_type_gives_one_line(unfinished: Path, counter: str, value: object) -> None:
    path = states.resume_path(unfinished)
    saved = states.load(path)
    facts = json.loads(json.dumps(saved.facts))
    facts["state"][counter] = value
    states.save(path, states.Checkpoint(facts, saved.tensors))
    with pytest.raises(ModelFileError, match="does not fit this training"):
        run_training(pictures(), out=unfinished, resume=True)


# ------------------------------------------------------------ signals

CHILD = """
import sys, numpy as np, torch, isthmus
from isthmus.model.recipe import Recipe
from isthmus.training.config import TrainConfig
from isthmus.training.session import train_model
from isthmus.training.trainer_setup import Observers
torch.set_num_threads(1)
data = np.load(sys.argv[1])
recipe = Recipe.from_dict(__import__("json").loads(sys.argv[3]))
config = TrainConfig(steps=200, precision="float32", checkpoint_seconds=0, patience=0)
watch = Observers(listener=lambda seen: print(seen.step, flush=True))
train_model(data, config, recipe=recipe, out=sys.argv[2], observers=watch)
"""


@pytest.mark.slow
def test_killed_and_resumed_is_bit_for_bit_the_uninterrupted_training(tmp_path: Path) -> None:
    recipe, data = small("variational"), pictures()
    np.save(tmp_path / "data.npy", data)
    out = tmp_path / "m.safetensors"
    state = states.resume_path(out)
    words = [sys.executable, "-c", CHILD, str(tmp_path / "data.npy"), str(out), json.dumps(recipe.to_dict())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        # Killed after a few steps, all but perhaps the last of which are saved.
        for line in child.stdout:
            if int(line) >= 8:
                child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                break
        errors = child.communicate()[1]
    assert child.returncode != 0, errors
    assert not out.exists()
    step = states.load(state).facts["state"]["step"]
    assert 5 <= step < 200
    resumed = run_training(np.load(tmp_path / "data.npy"), out=out, resume=True)
    straight = train(data, recipe, steps=200, patience=0)
    assert resumed.summary["steps"] == 200
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


@pytest.mark.skipif(os.name != "posix", reason="signals to oneself")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_after_the_step_with_the_state_saved(tmp_path: Path, number: int) -> None:
    out = tmp_path / "m.safetensors"
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught:
        train(pictures(), small("dense"), out=out, listener=lambda _: os.kill(os.getpid(), number))
    assert signal.getsignal(number) is before
    saved = states.load(states.resume_path(out)).facts["state"]["step"]
    assert caught.value.step == saved < 10
    assert caught.value.exit_code == 130
    assert run_training(pictures(), out=out, resume=True).summary["steps"] == 10


@pytest.mark.skipif(os.name != "posix", reason="signals to oneself")
def test_a_second_interrupt_quits_at_once(tmp_path: Path) -> None:
    after: list[str] = []

    def twice(_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        after.append("first")
        os.kill(os.getpid(), signal.SIGINT)
        after.append("second")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(pictures(), small("dense"), out=tmp_path / "m.safetensors", listener=twice)
    assert after == ["first"]
    assert signal.getsignal(signal.SIGINT) is before


def test_training_outside_the_main_thread_needs_no_signals() -> None:
    import threading

    made: list[Autoencoder] = []
    worker = threading.Thread(target=lambda: made.append(train(pictures(), small("dense"))))
    worker.start()
    worker.join()
    assert made[0].summary["steps"] == 10


def test_data_that_cannot_be_read_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(tmp_path / "nowhere", small("dense"), out=tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []
