"""Load scripts that stand outside of the package: benchmarks/, studies/ and tools/."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def load_script(path: str) -> ModuleType:
    """The module at `path`, relative to the root of the repository, such as `tools/make_sample.py`.

    Its name is made from the whole path, so that `generation.py` of two folders are two modules.
    """
    file = ROOT / path
    name = path.removesuffix(".py").replace("/", "_").replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
