"""Models of version 0.1, one of every recipe: they load, and give the same codes and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import isthmus

from . import adapter
from .checks import FILES, check_numbers, packed, read_arrays, read_header, run

MODELS = packed("models")
EXPECTED = sorted(path.stem for path in (FILES / "expected").glob("*.npz"))
TRIED = [name for name in EXPECTED if not name.startswith("uses-")]
NEWER_RECIPES = {"transform-pairs", "defects", "generative"}  # version 0.1 had none
NARROW = ["uses-bits-8", "uses-bits-16"]


def test_every_recipe_has_a_model_a_state_and_a_toml_file() -> None:
    recipe_names = {recipe["name"] for recipe in run("recipes")["recipes"]} - NEWER_RECIPES
    files = {"models": set(MODELS), "states": set(packed("states")), "expected": set(TRIED)}
    files["recipes"] = {path.stem for path in (FILES / "recipes").glob("*.toml")}
    for folder, names in files.items():
        assert recipe_names <= names, f"0.1/{folder} lacks {sorted(recipe_names - names)}"
    for name in recipe_names:
        _, metadata = read_header(Path(f"models/{name}.safetensors"))
        assert f'"name": "{name}"' in metadata["isthmus"]


def test_every_model_is_read_by_a_test() -> None:
    used = {name.removeprefix("uses-") for name in EXPECTED}
    assert set(MODELS) - used == {"codec-tables", "named"}  # test_compressed.py, test_training_data.py


def tried_images(model: isthmus.Autoencoder) -> np.ndarray:
    """What the models were tried on, `(4, H, W, C)` in [0, 1]."""
    kind = "gray" if model.channels == 1 else "colour"
    images = read_arrays(FILES / "tried.npz")[kind].astype(np.float32) / 255
    height, width = model.size
    return images[:, :height, :width]


@pytest.mark.parametrize("name", TRIED + NARROW)
def test_codes_and_outputs_are_the_same(name: str) -> None:
    model = isthmus.load(f"models/{name.removeprefix('uses-')}.safetensors")
    expected = read_arrays(FILES / "expected" / f"{name}.npz")
    images = tried_images(model)
    check_numbers(model.encode(images), expected["codes"])
    check_numbers(model.reconstruct(images), expected["outputs"])


@pytest.mark.parametrize("name", MODELS)
def test_the_mark_of_a_model_is_the_same(name: str, facts: dict[str, Any]) -> None:
    model = isthmus.load(f"models/{name}.safetensors")
    assert [adapter.mark_of(model), adapter.mark_of(model, decoder=False)] == facts["marks"][name]


@pytest.mark.parametrize("name", ["conv", "article-003"])
def test_the_measures_are_the_same(name: str, facts: dict[str, Any]) -> None:
    result = run("evaluate", f"models/{name}.safetensors", "photos")["metrics"]
    expected = facts["evaluated"][name]
    assert set(expected) <= set(result)
    for key, value in expected.items():
        assert result[key] == pytest.approx(value, rel=1e-3, abs=1e-6), key


@pytest.mark.parametrize("path", sorted((FILES / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_a_toml_recipe_means_the_same(path: Path, facts: dict[str, Any]) -> None:
    result = isthmus.recipe(str(path)).to_dict()
    expected = facts["recipes"][path.stem]
    for key, value in expected.items():
        if isinstance(value, dict):
            assert value.items() <= result[key].items()
        else:
            assert result[key] == value
