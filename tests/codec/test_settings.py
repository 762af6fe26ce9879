"""What drives the entropy coder is the same under every setting of a machine; pixels differ by a level.

Each setting is a process of its own, for most are read only once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch.backends.cpu import get_cpu_capability

from isthmus.images.store import Pixels

from .conftest import GOLDEN, MODEL

ROOT = Path(__file__).parents[2]
FILES = ("tiles", "gray", "alpha")

PROGRAM = """
import hashlib, json, sys
import numpy as np, torch
import isthmus
from isthmus.codec import container
from isthmus.codec.decoding import decode_tile_symbols
from isthmus.codec.grid import Grid
from isthmus.codec.ready import make_codec

how = json.loads(sys.argv[1])
torch.set_num_threads(how["threads"])
torch.backends.mkldnn.enabled = how["onednn"]
model = isthmus.load(sys.argv[2])
if not how["channels_last"]:
    for p in model.parameters():
        p.data = p.data.contiguous()
if how["bf16"]:
    model.precision = torch.bfloat16
codec = make_codec(model)
found = {"capability": torch.backends.cpu.get_cpu_capability(), "symbols": [], "pixels": []}
for path in sys.argv[3:-1]:
    file = container.read_container(open(path, "rb").read())
    grid = Grid.of(file.header, codec.stride)
    every = [one.tobytes() for one in decode_tile_symbols(file, codec, grid, range(grid.count))]
    found["symbols"].append(hashlib.sha256(b"".join(every)).hexdigest())
    if not how["bf16"]:
        found["pixels"].append(isthmus.decompress(path, model=model).tolist())
image = np.load(sys.argv[-1] + ".npy")
open(sys.argv[-1], "wb").write(isthmus.compress(image, quality=40, model=model))
print(json.dumps(found))
"""

PLAIN: dict[str, object] = {"threads": 1, "onednn": True, "channels_last": True, "bf16": False}
SETTINGS: dict[str, tuple[dict[str, object], dict[str, str]]] = {
    "as it comes": (PLAIN, {}),
    "no vector instructions, one kernel library less": (
        {**PLAIN, "onednn": False, "channels_last": False},
        {"ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott"},
    ),
    "avx2, two threads": (
        {**PLAIN, "threads": 2},
        {"ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    ),
    "bfloat16": (
        {**PLAIN, "bf16": True},
        {"ATEN_CPU_CAPABILITY": "avx512"} if get_cpu_capability() == "AVX512" else {},
    ),
}


@pytest.mark.slow  # four processes, one of them without vector instructions
def test_symbols_are_the_same_under_every_setting(tmp_path: Path, photo: Pixels) -> None:
    import isthmus
    from isthmus.codec import container

    result, made = {}, {}
    names = [str(GOLDEN / f"{name}.isth") for name in FILES]
    running = {}
    for number, (name, (how, variables)) in enumerate(SETTINGS.items()):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        made[name] = tmp_path / f"{number}.isth"
        np.save(f"{made[name]}.npy", photo[:96, :96])
        words = [sys.executable, "-c", PROGRAM, json.dumps(how), str(MODEL), *names, str(made[name])]
        running[name] = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE)
    for name, process in running.items():
        out, _ = process.communicate()
        assert process.returncode == 0
        result[name] = json.loads(out)
    plain = result["as it comes"]
    model = isthmus.load(MODEL)
    for name, other in result.items():
        assert other["symbols"] == plain["symbols"], name
        for here, there in zip(other["pixels"], plain["pixels"], strict=False):
            assert np.abs(np.array(here) - np.array(there)).max() <= 1
        # Encoded there, decoded here: the check of the symbols in every tile says that they are the same.
        assert container.read_container(made[name].read_bytes()).header.size == (96, 96)
        assert isthmus.decompress(made[name], model=model).shape == (96, 96, 3)
    assert len({item["capability"] for item in result.values()}) > 1
