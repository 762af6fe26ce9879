"""The script that trains codecs of photographs: it resumes after an interruption, and its models compress."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data

import isthmus
from isthmus.codec.fit import fit_tables
from isthmus.model.autoencoder import Autoencoder

from .test_train_real_denoiser import load_script

SMALL = ["code=40@16", "backbone.width=8", "backbone.correction=8"]


@pytest.mark.slow
def test_twenty_steps_resume_exactly_and_compress(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, trainer = load_script("train_real_denoiser"), load_script("train_codec")
    torch.set_num_threads(1)
    # The state is saved after each step.
    options = script.Options(
        minutes=1e9, batch=2, crop=64, max_steps=20, rate=1e-3, save_minutes=0.0, precision="float32"
    )

    def run(out: Path, *, resume: bool = False) -> Autoencoder:
        model = trainer.codec(SMALL, None, photos, crop=64)
        script.train(photos, out, trainer.CodecTraining(model, options), resume=resume)
        return isthmus.load(out)

    def interrupt_at(step: int) -> Callable[..., Any]:
        measure = trainer.CodecTraining.measure

        def interrupted(self: Any, *given: Any) -> Any:
            if self.steps == step:
                raise KeyboardInterrupt
            return measure(self, *given)

        return interrupted

    unbroken = run(tmp_path / "whole.safetensors")
    parts = tmp_path / "parts.safetensors"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(trainer.CodecTraining, "measure", interrupt_at(12))
        run(parts)
    continued = run(parts, resume=True)
    assert unbroken.summary["steps"] == continued.summary["steps"] == 20
    for name, value in unbroken.state_dict().items():
        assert torch.allclose(continued.state_dict()[name], value, atol=1e-5), name
    photo = data.astronaut()[100:170, 150:250]
    fit_tables(unbroken, [photo, data.chelsea()[:96, :96]], qualities=(20.0, 80.0), steps=1, steps_next=1)
    errors, sizes = [], []
    for quality in (5, 95):
        packed = isthmus.compress(photo, quality=quality, model=unbroken)
        again = isthmus.decompress(packed, model=unbroken)
        errors.append(float(np.square(again.astype(float) - photo).mean()))
        sizes.append(len(packed))
    assert errors[1] < errors[0] and sizes[1] > sizes[0]


def test_the_rate_falls_at_the_end_of_a_budget_and_rises_again_in_a_larger_one() -> None:
    script, trainer = load_script("train_real_denoiser"), load_script("train_codec")

    def rate(steps: int, minutes_done: float, budget: float) -> float:
        model = isthmus.model.autoencoder.build(
            isthmus.recipe("codec").with_settings([*trainer.NETWORK, *SMALL]), channels=3, size=(64, 64)
        )
        options = script.Options(minutes=budget, precision="float32")
        training = trainer.CodecTraining(model, options)
        training.steps, training.seconds = steps, 60 * minutes_done
        return float(training.rate_factor())

    assert rate(0, 0, 100) < 0.02  # warm-up
    assert rate(10_000, 79, 100) == 1
    assert rate(10_000, 90, 100) == pytest.approx(0.5)
    assert rate(10_000, 100, 100) == pytest.approx(0)
    assert rate(10_000, 100, 200) == 1
