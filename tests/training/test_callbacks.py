"""Callbacks see each step, each validation and the end, and change nothing by looking."""

from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import isthmus

from .cases import pictures, small, train


class Recorder(isthmus.Callback):
    def __init__(self) -> None:
        self.events: list[tuple[str, isthmus.TrainingEvent]] = []

    def on_step(self, event: isthmus.TrainingEvent) -> None:
        self.events.append(("step", event))

    def on_validation(self, event: isthmus.TrainingEvent) -> None:
        self.events.append(("validation", event))

    def on_end(self, event: isthmus.TrainingEvent) -> None:
        self.events.append(("end", event))

    def of(self, name: str) -> list[isthmus.TrainingEvent]:
        return [event for kind, event in self.events if kind == name]


def test_every_step_and_validation_and_the_end_are_seen(tmp_path: Path) -> None:
    recorder, path = Recorder(), tmp_path / "model.safetensors"
    written: list[bool] = []
    last = SimpleNamespace(on_end=lambda _: written.append(path.exists()))
    model = train(pictures(), small("dense"), steps=7, out=path, callbacks=[recorder, last])
    assert [event.step for event in recorder.of("step")] == list(range(1, 8))
    assert [event.step for event in recorder.of("validation")] == model.history.steps.tolist()
    assert [event.validation for event in recorder.of("validation")] == model.history.validation.tolist()
    (end,) = recorder.of("end")
    assert recorder.events[-1] == ("end", end)
    assert end.model is model and end.share == 1.0 and end.step == end.steps == 7
    assert end.best == model.summary["best"]["validation"]
    assert [finding.to_dict() for finding in end.findings] == model.summary["findings"]
    assert written == [True]


def test_the_losses_of_steps_add_up_to_those_of_the_history() -> None:
    recorder = Recorder()
    model = train(pictures(), small("dense"), steps=4, callbacks=[recorder])
    losses = [event.losses["mse"] for event in recorder.of("step")]
    first, last = model.history.steps.tolist()
    means = [sum(losses[:first]) / first, sum(losses[first:]) / (last - first)]
    assert means == pytest.approx(model.history.terms["train_mse"].tolist())


def test_looking_changes_nothing() -> None:
    alone = train(pictures(), small("conv"), steps=4)
    watched = train(pictures(), small("conv"), steps=4, callbacks=[Recorder()])
    for name, value in alone.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name])


def test_an_event_is_frozen() -> None:
    recorder = Recorder()
    train(pictures(), small("dense"), steps=1, callbacks=[recorder])
    changed: Any = recorder.of("step")[0]
    with pytest.raises(FrozenInstanceError):
        changed.step = 3
    with pytest.raises(TypeError):
        changed.losses["mse"] = 0.0


def test_what_is_no_callback_is_refused_before_the_training() -> None:
    with pytest.raises(isthmus.IsthmusError, match="on_step, on_validation or on_end; object has none"):
        train(pictures(), small("dense"), callbacks=[object()])


def test_a_callback_that_fails_ends_the_training() -> None:
    def fail(event: isthmus.TrainingEvent) -> None:
        raise RuntimeError(f"at {event.step}")

    with pytest.raises(RuntimeError, match="at 2"):
        train(pictures(), small("dense"), callbacks=[SimpleNamespace(on_validation=fail)])
