"""Commands that end after a second import nothing that they do not use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isthmus
from isthmus.features.readout import attach_extractor, fit_extractor

HEAVY = (
    "sklearn",
    "scipy",
    "matplotlib",
    "pandas",
    "pooch",
    "requests",
    "rich",
    "skimage",
    "sympy",
    "tifffile",
    "torch._dynamo",
    "torch._inductor",
)
# Runs commands one after another and prints which heavy modules are there after each.
RUN = """
import contextlib, json, sys
from isthmus.__main__ import main
commands, heavy = json.loads(sys.argv[1])
found = []
for words in commands:
    with contextlib.redirect_stdout(sys.stderr):
        code = main(words)
    assert code == 0, words
    found.append([name for name in heavy if name in sys.modules])
print(json.dumps(found))
"""


def loaded(folder: Path, commands: list[list[str]], heavy: tuple[str, ...] = HEAVY) -> list[list[str]]:
    """The heavy modules that are there after each of the commands."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([commands, heavy])],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "ISTHMUS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"},
    )
    document: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A noisy photo of 64×64 pixels and a mask."""
    place = tmp_path_factory.mktemp("start")
    generator = np.random.default_rng(0)
    ramp = np.linspace(40, 200, 64)[:, None, None]
    noisy = (ramp + generator.normal(0, 20, (64, 64, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(place / "photo.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[20:30, 20:30] = 255
    Image.fromarray(mask).save(place / "mask.png")
    return place


def test_codec_and_restoration_load_no_heavy_module(folder: Path) -> None:
    commands = [
        ["compress", "photo.png", "-o", "photo.isth"],
        ["decompress", "photo.isth", "-o", "again.png"],
        ["denoise", "photo.png", "-o", "clean.png"],
        ["inpaint", "photo.png", "--mask", "mask.png", "-o", "whole.png"],
        ["inpaint", "photo.png", "--find", "dead-pixels", "-o", "fixed.png"],
    ]
    assert loaded(folder, commands) == [[]] * len(commands)


def test_reading_features_loads_no_heavy_module(folder: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), dtype=np.uint8)
    recipe = isthmus.recipe("features").with_settings(["code=16@4", "bottleneck.k=2"])
    model = isthmus.train(images, recipe=recipe, steps=2)
    attach_extractor(model, fit_extractor(model, isthmus.read(images)))  # fitting one would load SciPy
    model.save(folder / "model.safetensors")
    np.save(folder / "images.npy", images)
    command = ["embed", "model.safetensors", "images.npy", "-o", "vectors.npz"]
    assert loaded(folder, [command]) == [[]]


def test_headers_are_shown_without_numpy(folder: Path) -> None:
    (folder / "small.isth").write_bytes(isthmus.compress(np.zeros((16, 16, 3), np.uint8)))
    shipped = Path(isthmus.__file__).parent / "pretrained" / "photo-codec.safetensors"
    commands = [["info", "small.isth"], ["info", str(shipped)]]
    assert loaded(folder, commands, heavy=(*HEAVY, "torch", "numpy", "PIL")) == [[], []]
