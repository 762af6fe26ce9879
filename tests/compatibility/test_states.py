"""Training states of version 0.1: the next step is the same, `--resume` goes on with the stored options."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

import isthmus

from . import adapter
from .checks import FILES, STEP, packed, read_arrays, read_header, run

STATES = packed("states")
# Batch normalisation takes a constant away again: the gradient of a bias before it is 0 but for rounding, and
# Adam's step of a rounding error may have either sign. They are allowed one step of the rate.
WITHOUT_GRADIENT = {"article-003": (re.compile(r"(encoder|decoder)\.(layers\.\d+|last)\.0\.bias"), 1e-3)}


def data_of(name: str) -> str:
    return "colour.npz" if name == "codec" else "photos"


def needs_extra(name: str) -> None:
    if name == "private":
        pytest.importorskip("opacus", reason="needs the extra 'privacy'")


@pytest.mark.parametrize("name", STATES)
def test_the_next_step_gives_the_same_weights(name: str) -> None:
    needs_extra(name)
    result = adapter.next_step(Path(f"states/{name}.resume.safetensors"), data_of(name))
    expected = read_arrays(FILES / "states" / f"{name}.npz")
    stored = {adapter.stored_tensor(key): array for key, array in result.items()}
    assert set(stored) == set(expected)
    for key, array in expected.items():
        difference = abs(adapter.sample(stored[key]).astype(float) - array)
        pattern, rate = WITHOUT_GRADIENT.get(name, (None, STEP))
        free = pattern is not None and pattern.fullmatch(key) is not None
        assert difference.max() <= (rate if free else STEP), key


@pytest.mark.parametrize("name", ["dense", "options", "article-003", "epochs", "minutes", "private", "sgd"])
def test_resume_loads_the_stored_options_and_goes_on(name: str, apart: Path, unpacked: Path) -> None:
    needs_extra(name)
    state = unpacked / "states" / f"{name}.resume.safetensors"
    shutil.copy(state, apart / f"{name}.resume.safetensors")
    document = run("train", "photos", "-o", f"{name}.safetensors", "--resume")
    stored = json.loads(read_header(state)[1]["isthmus.resume"])
    assert document["steps"] == stored["settled"]["steps"] > stored["state"]["step"]
    assert document["seed"] == stored["options"]["seed"]
    summary = json.loads(read_header(apart / f"{name}.safetensors")[1]["isthmus"])["summary"]
    assert stored["options"].items() <= summary["options"].items()
    assert not (apart / f"{name}.resume.safetensors").exists()
    finished = unpacked / "models" / f"{name}.safetensors"
    if finished.exists():
        expected = isthmus.load(finished).state_dict()
        for key, tensor in isthmus.load(apart / f"{name}.safetensors").state_dict().items():
            torch.testing.assert_close(tensor, expected[key], rtol=0, atol=STEP)


def test_resume_refuses_other_images(apart: Path, unpacked: Path) -> None:
    shutil.copy(unpacked / "states" / "dense.resume.safetensors", apart / "m.resume.safetensors")
    with pytest.raises(isthmus.IsthmusError, match="is not the data that this training began with"):
        isthmus.train("frames", out="m.safetensors", resume=True)
