"""Which model is meant: a path, a shipped name, a model itself; and what is no model."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import isthmus
from isthmus import pretrained
from isthmus.errors import Hint, IsthmusError, ModelFileError, UsageError
from isthmus.model.attachments import attach
from isthmus.model.loading import load_shared, resolve_model_path

NAME = "photo-denoise-gray"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_path_a_name_and_a_model_are_the_same_model(place: Path) -> None:
    shutil.copy(pretrained.path(NAME), place / "own.safetensors")
    named = isthmus.load(NAME)
    assert isthmus.load(named) is named
    for same in (isthmus.load("own.safetensors"), isthmus.load(place / "own.safetensors")):
        assert same.recipe == named.recipe
        assert all(torch.equal(t, named.state_dict()[name]) for name, t in same.state_dict().items())


def test_a_change_to_a_shipped_model_is_the_callers_own() -> None:
    first = isthmus.load(NAME)
    weights = next(first.parameters()).clone()
    with torch.no_grad():
        next(first.parameters()).zero_()
    first.summary.clear()
    first.train()
    for again in (isthmus.load(NAME), load_shared(NAME)):
        assert torch.equal(next(again.parameters()), weights)
        assert again.summary["steps"] > 0 and not again.training
    assert load_shared(NAME) is load_shared(NAME)


def test_a_path_wins_over_a_name(place: Path) -> None:
    shutil.copy(pretrained.path("photo-codec"), place / NAME)
    assert isthmus.load(NAME).recipe.name == "codec"
    assert resolve_model_path(NAME) == Path(NAME)
    (place / NAME).unlink()
    assert resolve_model_path(NAME) == pretrained.path(NAME)


@pytest.mark.parametrize("resolve", [isthmus.load, resolve_model_path])
@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("photo-codek", UsageError, "did you mean 'photo-codec'"),
        ("photo-codec.safetensors", ModelFileError, "did you mean 'photo-codec'"),
        ("quite/another.safetensors", ModelFileError, "there is no model file"),
        ("zzz", UsageError, "neither a model file nor a shipped model"),
        ("images", UsageError, "images is not a model file but images"),
        ("archives", UsageError, "archives is not a model file but images"),
        ("empty", UsageError, "empty is a folder without models and images"),
        ("models", UsageError, "models is a folder of model files, but one model file is expected"),
        ("small", UsageError, "small is a folder of compressed images, but one model file is expected"),
        ("x.png", UsageError, "not a model file but images"),
        ("mnist", UsageError, "not a model file but images"),
        ("mnist:test[3]", UsageError, "not a model file but images"),
        ("", UsageError, "the model is empty"),
        ("no\0path", UsageError, "neither a model file"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(
    place: Path, resolve: Any, given: str, kind: type[IsthmusError], message: str
) -> None:
    for name in ("images/a", "archives", "empty/.hidden", "models", "small"):
        (place / name).mkdir(parents=True, exist_ok=True)
    files = ("x.png", "images/a/x.JPG", "archives/t.tar", "empty/readme.txt", "empty/.hidden/x.png")
    models = ("models/b.safetensors", "models/a.safetensors", "models/a.resume.safetensors")
    for name in (*files, *models, "small/2.isth", "small/1.isth"):
        (place / name).write_bytes(b"")
    with pytest.raises(kind, match=message) as caught:
        resolve(given)
    if "did you mean" in message:
        assert caught.value.hint == Hint.call("list_models")
    if "folder of" in message:
        first = {"models": "models/a.safetensors", "small": "small/1.isth"}[given]
        assert caught.value.hint == Hint.call("inspect_file", first)


def test_a_shipped_model_is_not_written_to(place: Path) -> None:
    before = pretrained.path(NAME).read_bytes()
    with pytest.raises(UsageError, match="comes with isthmus and is not changed"):
        attach(NAME, "prior/normal", {}, {})
    assert pretrained.path(NAME).read_bytes() == before
    with pytest.raises(UsageError, match="a model in memory has no file"):
        resolve_model_path(isthmus.load(NAME))
    isthmus.push(NAME, f"{place}/shared/")
    assert isthmus.load(place / "shared" / "model.safetensors").recipe == isthmus.load(NAME).recipe


def test_every_use_takes_a_name() -> None:
    image = np.full((16, 16, 3), 90, np.uint8)
    data = isthmus.compress(image, model="photo-codec")
    assert data == isthmus.compress(image) == isthmus.compress(image, model=isthmus.load("photo-codec"))
    assert np.array_equal(isthmus.decompress(data, model="photo-codec"), isthmus.decompress(data))
    gray = image[..., 0]
    by_path = isthmus.denoise(gray, 10, model=os.fspath(pretrained.path(NAME)))
    assert np.array_equal(isthmus.denoise(gray, 10, model=NAME), by_path)


def test_finding_a_file_needs_no_torch() -> None:
    import subprocess

    code = (
        "import sys; from isthmus.model.loading import resolve_model_path as r; "
        "r('photo-codec'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
