"""Nothing loads torch's compiler, which takes longer than many a command, and is used nowhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAINED = """
import sys
import numpy as np
import isthmus
images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
for recipe in ("conv", "attention", "codec", "features"):
    model = isthmus.train(images, recipe=recipe, steps=1)
    model.save(sys.argv[1], force=True)
    isthmus.load(sys.argv[1])
    print(recipe, "torch._dynamo" in sys.modules)
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


def run(program: str, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.splitlines()


def test_trainings_do_without(tmp_path: Path) -> None:
    lines = run(TRAINED, f"{tmp_path}/model.safetensors")
    assert lines == [f"{recipe} False" for recipe in ("conv", "attention", "codec", "features")]


def test_shipped_models_do_without() -> None:
    assert run(SHIPPED) == ["False"]
