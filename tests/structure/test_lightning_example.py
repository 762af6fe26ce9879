"""The Lightning example of docs/use/python.md runs: with Lightning if installed, else with a stand-in."""

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import isthmus

PAGE = (Path(__file__).parents[2] / "docs" / "use" / "python.md").read_text("utf-8")


def example() -> str:
    results = [
        block.split("\n```")[0] for block in PAGE.split("```python\n")[1:] if "import lightning" in block
    ]
    assert len(results) == 1
    return results[0]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "photos").mkdir()
    random = np.random.default_rng(0)
    for index in range(12):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{index}.png")
    monkeypatch.chdir(tmp_path)


def check(names: dict[str, Any]) -> None:
    """The model has moved from its first weights, and its file is a model."""
    point = isthmus.recipe("conv").with_settings(["code=8"])
    loaded = isthmus.load("lightning.safetensors")
    assert loaded.recipe == point
    moved = names["module"].model.state_dict()
    assert all(torch.equal(value, moved[name]) for name, value in loaded.state_dict().items())


def test_with_lightning() -> None:
    pytest.importorskip("lightning")
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(example(), names)
    check(names)
    assert names["trainer"].global_step == 3


class StandInModule(torch.nn.Module):
    """As much of a LightningModule as the example uses."""

    global_step = 0

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, torch.Tensor] = {}

    def log_dict(self, values: dict[str, torch.Tensor]) -> None:
        self.logged = values


class StandInTrainer:
    def __init__(self, max_steps: int, **_: Any) -> None:
        self.max_steps = max_steps

    def fit(self, module: Any, batches: Iterable[torch.Tensor]) -> None:
        optimiser = module.configure_optimizers()
        for step, batch in zip(range(self.max_steps), batches, strict=True):
            module.global_step = step
            optimiser.zero_grad()
            before = [parameter.detach().clone() for parameter in module.parameters()]
            module.training_step(batch, step).backward()
            optimiser.step()
            assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
            assert module(batch).shape == batch.shape


def test_by_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    lightning = ModuleType("lightning")
    lightning.LightningModule = StandInModule  # type: ignore[attr-defined]
    lightning.Trainer = StandInTrainer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning", lightning)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(example(), names)
    check(names)
    assert {"train/total", "train/mse"} <= names["module"].logged.keys()
