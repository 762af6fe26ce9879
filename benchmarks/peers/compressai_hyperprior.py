"""CompressAI's bmshj2018-hyperprior, timed on demand by benchmarks/codec_speed.py, in its own environment.

    PYTHON -m venv compressai-env && compressai-env/bin/pip install compressai
    compressai-env/bin/python benchmarks/peers/compressai_hyperprior.py IMAGE.npy --threads 1

For every line that it reads it codes the image once, to bytes and back, and prints the seconds as JSON.
Weights are as initialised: they change what is in the bytes, not how long it takes to make them.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import sys
import time
import types
from typing import Any

import numpy as np
import torch


class Nothing:
    """Stands for whatever such a package holds: a base class, a decorator, a value."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, value: Any) -> Any:
        return value


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules for packages that compressai imports for its data sets only, of which nothing is used."""

    names = ("torchvision", "torch_geometric")

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:  # noqa: ARG002
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if self.has(name) else None

    def has(self, name: str) -> bool:
        return name.split(".")[0] in self.names

    def exec_module(self, module: types.ModuleType) -> None:
        module.__getattr__ = lambda _: Nothing  # type: ignore[method-assign]


sys.meta_path.append(Absent())  # last: a package that is installed is used


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("image", help="uint8 (H, W, 3), sides multiples of 64, as .npy")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quality", type=int, default=4, help="1 to 5: 128 and 192 channels")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    import compressai
    from compressai.zoo import bmshj2018_hyperprior

    model = bmshj2018_hyperprior(args.quality, pretrained=False).eval()
    model.update()
    pixels = torch.from_numpy(np.load(args.image)).permute(2, 0, 1)[None].float() / 255
    print(json.dumps({"version": compressai.__version__, "torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter(), time.process_time()
        made = model.compress(pixels)
        middle = time.perf_counter(), time.process_time()
        model.decompress(made["strings"], made["shape"])
        end = time.perf_counter(), time.process_time()
        answer = {"encode": middle[0] - began[0], "decode": end[0] - middle[0]}
        answer |= {"encode_cpu": middle[1] - began[1], "decode_cpu": end[1] - middle[1]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
