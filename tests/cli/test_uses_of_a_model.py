"""`recipes`, `info`, `evaluate`, `reconstruct`: what they print, write, refuse and leave alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.__main__ import main
from isthmus.model.recipe import Recipe
from isthmus.model.recipes import RECIPES, recipe

Capture = pytest.CaptureFixture[str]
Document = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("words", [["recipes"], ["recipes", "sparse"], ["info", "photos.safetensors"]])
def test_looking_things_up_needs_no_torch(words: list[str], ready: Path) -> None:
    code = f"import sys; from isthmus.__main__ import main; main({words!r}); print('torch' in sys.modules)"
    root = Path(isthmus.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ready, env=environment, check=True
    )
    assert ran.stdout.splitlines()[-1] == "False"


def test_recipes_are_listed_with_one_line_each(document: Document) -> None:
    listed = document("recipes")["recipes"]
    assert [entry["name"] for entry in listed] == list(RECIPES)
    assert all(entry["summary"].endswith(".") for entry in listed)
    articles = [entry["name"] for entry in listed if entry["group"] == "article"]
    assert articles == [f"article-00{number}" for number in range(5)]
    assert {entry["group"] for entry in listed} == {"family", "article"}


@pytest.mark.parametrize("name", ["conv", "variational"])
def test_a_recipe_is_shown_whole_and_its_toml_reads_back(
    name: str, document: Document, capsys: Capture, tmp_path: Path
) -> None:
    shown = document("recipes", name)
    assert {setting["key"] for setting in shown["settings"]} == set(recipe(name).keys())
    assert Recipe.from_dict(shown["recipe"]) == recipe(name)
    assert main(["recipes", name, "--toml"]) == 0
    (tmp_path / "r.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert recipe(str(tmp_path / "r.toml")) == recipe(name)


def test_info_tells_how_the_model_was_made(here: Path, document: Document, capsys: Capture) -> None:
    result = document("info", "photos.safetensors")
    assert result["recipe"]["backbone"] == {**result["recipe"]["backbone"], "kind": "dense", "width": [8]}
    assert (result["code"], result["size"], result["channels"]) == ("3", [12, 12], 1)
    assert result["bytes"] == (here / "photos.safetensors").stat().st_size
    model = isthmus.load("photos.safetensors")
    assert result["numbers"]["encoder"] == sum(t.numel() for t in model.encoder.state_dict().values())
    assert main(["info", "photos.safetensors"]) == 0
    assert "12×12, gray" in capsys.readouterr().out


def test_a_header_without_its_parts_is_a_damaged_file(here: Path, capsys: Capture) -> None:
    header = json.dumps({"__metadata__": {"isthmus": json.dumps({"format": 1})}}).encode()
    (here / "odd.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert main(["info", "odd.safetensors"]) == 1
    assert "odd.safetensors is damaged" in capsys.readouterr().err


def test_evaluate_prints_a_table_and_writes_a_page_once(here: Path, capsys: Capture) -> None:
    words = ["evaluate", "photos.safetensors", "photos", "-o", "r.html", "--limit", "6"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split()[:3] == ["metric", "model", "PCA"]
    assert "are among the training images" in err
    assert (here / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(words) == 1
    assert "r.html exists" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0


@pytest.mark.parametrize("command", [["evaluate"], ["reconstruct", "-o", "out"]])
@pytest.mark.usefixtures("here")
def test_exchanged_arguments_are_recognised(command: list[str], capsys: Capture) -> None:
    assert main([command[0], "photos", "photos.safetensors", *command[1:]]) == 2
    err = capsys.readouterr().err
    assert "photos.safetensors is a model file, but images are expected in its place" in err
    hint = err.split("hint: isthmus ")[1].split()
    assert main(hint) == 0


@pytest.mark.usefixtures("here")
def test_a_missing_model_is_said_to_be_missing(capsys: Capture) -> None:
    assert main(["evaluate", "nothing.safetensors", "photos"]) == 1
    assert "there is no model file nothing.safetensors" in capsys.readouterr().err
    assert main(["info", "fashion-sample"]) == 2
    assert "hint: isthmus train fashion-sample" in capsys.readouterr().err


def test_reconstructions_keep_size_type_and_place(here: Path, document: Document) -> None:
    wide = np.linspace(0, 65535, 20 * 30).reshape(20, 30).astype(np.uint16)
    Image.fromarray(wide).save(here / "photos" / "right" / "deep.png")
    result = document("reconstruct", "photos.safetensors", "photos", "-o", "out")
    assert (result["written"], result["already_there"]) == (11, 0)
    names = {path.relative_to(here / "photos") for path in (here / "photos").rglob("*.png")}
    assert {path.relative_to(here / "out") for path in (here / "out").rglob("*")} - {
        Path("left"),
        Path("right"),
    } == names
    for name in names:
        with Image.open(here / "photos" / name) as given, Image.open(here / "out" / name) as reconstruction:
            assert reconstruction.size == given.size
    assert np.asarray(Image.open(here / "out" / "right" / "deep.png")).dtype == np.uint16


def test_reconstructing_again_does_only_what_is_missing(here: Path, document: Document) -> None:
    document("reconstruct", "photos.safetensors", "photos", "-o", "out")
    gone, untouched = sorted((here / "out").rglob("*.png"))[:2]
    gone.unlink()
    before = untouched.stat().st_mtime_ns
    result = document("reconstruct", "photos.safetensors", "photos", "-o", "out")
    assert (result["written"], result["already_there"]) == (1, 9)
    assert gone.exists()
    assert untouched.stat().st_mtime_ns == before
    assert document("reconstruct", "photos.safetensors", "photos", "-o", "out", "--force")["written"] == 10


def test_side_by_side_shows_the_image_itself_on_the_left(here: Path) -> None:
    words = ["reconstruct", "photos.safetensors", "photos", "-o", "out", "--compare", "--scale", "1", "-q"]
    assert main(words) == 0
    name = Path("left", "1.png")
    both = np.asarray(Image.open(here / "out" / name))
    given = np.asarray(Image.open(here / "photos" / name))
    assert both.shape == (12, 26)
    np.testing.assert_array_equal(both[:, :12], given)
    model = isthmus.load("photos.safetensors")
    np.testing.assert_array_equal(both[:, 14:], model.reconstruct(given))


def test_a_broken_image_does_not_stop_the_others(here: Path, document: Document) -> None:
    (here / "photos" / "left" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    result = document("reconstruct", "photos.safetensors", "photos", "-o", "out", code=3)
    assert result["written"] == 10
    assert [item["name"] for item in result["skipped"]] == ["left/broken.png"]
    result = document("evaluate", "photos.safetensors", "photos", code=3)
    assert [item["name"] for item in result["data"]["skipped"]] == ["left/broken.png"]


@pytest.mark.usefixtures("here")
def test_hints_fit_the_question(capsys: Capture) -> None:
    assert main(["compress", "photos/left/1.png", "-o", "small/a.isth", "-q"]) == 0
    Path("empty").mkdir()
    for words, code, hint in (
        (["info", "small"], 2, "isthmus info small/a.isth"),
        (["denoise", "small", "-o", "x"], 1, "isthmus decompress small --out FOLDER"),
        (["train", "photos", "--lambda", "3"], 2, "isthmus train photos --set bottleneck.weight=3"),
        (["train", "photos", "--lr", "3"], 2, "isthmus train photos --set optimiser.rate=3"),
        (["train", "empty"], 1, "isthmus train FOLDER-OF-IMAGES"),
    ):
        assert main(words) == code
        assert f"hint: {hint}" in capsys.readouterr().err
