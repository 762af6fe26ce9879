"""Without a file to write the first Ctrl-C ends a training early and keeps the model; a second one raises."""

from __future__ import annotations

import logging
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import isthmus
from isthmus.api.trial_training import TrialLength, train_trial
from isthmus.images.reading import read

from .cases import open_training, pictures, run_training, small, train

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals to oneself")


def interrupt_at(step: int) -> Any:
    """A callback that sends Ctrl-C after so many steps."""

    def on_step(event: isthmus.TrainingEvent) -> None:
        if event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return SimpleNamespace(on_step=on_step)


def test_the_model_so_far_is_returned_and_says_that_it_is_incomplete(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = signal.getsignal(signal.SIGINT)
    with caplog.at_level(logging.INFO, "isthmus"):
        model = train(pictures(), small("dense"), steps=400, callbacks=[interrupt_at(5)])
    assert signal.getsignal(signal.SIGINT) is before
    assert (model.summary["steps"], model.summary["complete"], model.summary["kept"]) == (5, False, "last")
    assert "interrupted after step 5 of 400: the model has the last weights so far" in caplog.text
    trainer = open_training(pictures(), small("dense"), steps=400, precision="float32")
    for _ in range(5):
        trainer.train_step()
    trainer.finish()
    for name, value in trainer.learner.module.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_the_best_weights_so_far_are_kept_after_the_warm_up() -> None:
    recipe = small("dense", "optimiser.warmup=0", "optimiser.rate=0.001")
    model = train(pictures(), recipe, steps=400, callbacks=[interrupt_at(200)], patience=0)
    assert model.summary["kept"] == "best"
    rows = [row for row in model.summary["history"] if row["step"] > model.summary["settled"]["warmup_steps"]]
    best = min(rows, key=lambda row: row["validation"])
    assert model.summary["best"] == {"step": best["step"], "validation": best["validation"]}


def test_the_public_call_gives_a_whole_model_and_an_honest_report() -> None:
    settings = ["backbone.width=8"]
    how: dict[str, Any] = {"recipe": "dense", "code": "3", "settings": settings, "precision": "float32"}
    model = isthmus.train(pictures(), **how, steps=400, callbacks=[interrupt_at(2)])
    report = model.training_report
    assert (report.steps, report.complete) == (2, False)
    assert report.to_dict()["complete"] is False
    assert "interrupted" in report.table()
    assert isthmus.embed(model, pictures(3)).vectors.shape[0] == 3  # its feature extractor is stored
    assert isthmus.train(pictures(), **how, steps=2).training_report.complete


def test_a_second_interrupt_raises() -> None:
    def finish(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(pictures(), recipe=small("dense"), steps=400, callbacks=[interrupt_at(2)], finish=finish)


def test_an_interrupted_trial_is_not_compared() -> None:
    def report(_share: float, _text: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_trial(read(pictures()), small("dense"), TrialLength(steps=400), seed=0, report=report)
