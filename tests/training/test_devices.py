"""On a GPU where there is one: chosen by itself, trained on, stopped, resumed, and back on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from isthmus import machine
from isthmus.errors import Stopped

from .cases import pictures, run_training, small, stop_after, train

HERE = [
    name
    for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
    if there
]
DEVICES = [
    pytest.param(name, marks=pytest.mark.skipif(name not in HERE, reason=f"no {name} here"))
    for name in ("cuda", "mps")
]


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_device_is_chosen_by_what_is_there(
    cuda: bool, mps: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert machine.best_device().type == chosen


def use_device(patch: pytest.MonkeyPatch, device: str) -> None:
    for module in ("isthmus.model.initialisation", "isthmus.training.trainer_setup"):
        patch.setattr(f"{module}.best_device", lambda: torch.device(device))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "recipe",
    [
        *("conv", "dense", "attention", "recurrent", "sparse", "contractive", "denoising", "inpainting"),
        *("variational", "adversarial", "vae-gan"),
    ],
)
def test_every_family_trains_there_and_lands_on_the_cpu(
    device: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_device(monkeypatch, device)
    model = train(pictures(), small(recipe))
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}
    assert np.isfinite(np.asarray(model.reconstruct(pictures(3)), dtype=float)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_stopped_there_it_goes_on(device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_device(monkeypatch, device)
    out = tmp_path / "m.safetensors"
    stop_after(monkeypatch, 4)
    with pytest.raises(Stopped):
        train(pictures(), small("conv"), out=out)
    stop_after(monkeypatch, None)
    model = run_training(pictures(), out=out, resume=True)
    assert model.summary["steps"] == 10
    straight = train(pictures(), small("conv"))
    best = straight.summary["best"]["validation"]
    assert model.summary["best"]["validation"] == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_precision_and_length_are_measured_there(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    use_device(monkeypatch, device)
    model = run_training(pictures(), recipe=small("conv"), minutes=0.02)
    assert model.summary["steps"] > 0
