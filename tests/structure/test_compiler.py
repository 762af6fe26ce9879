"""Nothing loads torch's compiler, which takes longer than many a command, and is used nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRAINED = """
import sys
import numpy as np
import isthmus
images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
model = isthmus.train(images, recipe=sys.argv[1], steps=2)
model.save(sys.argv[2])
isthmus.load(sys.argv[2])
print("torch._dynamo" in sys.modules)
"""
SHIPPED = """
import sys
import numpy as np
import isthmus
image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
isthmus.decompress(isthmus.compress(image))
isthmus.denoise(image)
print("torch._dynamo" in sys.modules)
"""


def run(program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("recipe", ["conv", "attention", "codec", "features"])
def test_trainings_do_without(recipe: str, tmp_path: object) -> None:
    assert run(TRAINED, recipe, f"{tmp_path}/model.safetensors") == "False"


def test_shipped_models_do_without() -> None:
    assert run(SHIPPED) == "False"
