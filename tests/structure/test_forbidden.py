"""What must not stand in the project: paths of one machine, registry hosts, anything that unpickles."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Spelt in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join(["/" + "work/", "/" + "tmp/", "/" + "home/", "/" + "root/", "/" + "Users/"])
)
REGISTRIES = re.compile(
    "|".join(["py" + r"pi\.org", "python" + "hosted", r"download\.py" + "torch", "index" + "-url"])
)
# The one registry that is not the default: set-up names it, since without it Linux gets the CUDA build.
CPU_BUILD_INDEX = "--index-url https://download.pytorch.org/whl/cpu"
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "shelve", "marshal", "joblib"}
SKIPPED = {"__pycache__", "dist", "build", "isthmus-demo", "node_modules"}


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the checkout, without hidden folders (but .ci) and what tools leave behind."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name
            for name in folders
            if name not in SKIPPED
            and not name.endswith(".egg-info")
            and (name == ".ci" or not name.startswith("."))
            and not (Path(folder) / name / "pyvenv.cfg").exists()
        ]
        for name in names:
            path = Path(folder) / name
            try:
                yield path, path.read_text("utf-8")
            except UnicodeDecodeError:
                continue


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRIES], ids=["machine paths", "registry hosts"])
def test_no_file_names(pattern: re.Pattern[str]) -> None:
    results = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line.replace(CPU_BUILD_INDEX, ""))
    ]
    assert results == []


def unpicklings(source: str) -> list[int]:
    """Lines that import an unpickler, call torch.load or torch.save, or let NumPy unpickle."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(alias.name.split(".")[0] in UNPICKLERS for alias in names):
                lines.append(node.lineno)
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in UNPICKLERS or (
                module == "torch" and any(alias.name in ("load", "save") for alias in names)
            ):
                lines.append(node.lineno)
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save"):
                lines.append(node.lineno)
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                lines.append(value.lineno)
    return lines


def test_nothing_is_ever_unpickled() -> None:
    results = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "isthmus").rglob("*.py"))
        for line in unpicklings(path.read_text("utf-8"))
    ]
    assert results == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "def f():\n    import torch\n    return torch.load('x')",
        "from torch import load",
        "numpy.load('x', allow_pickle=True)",
    ],
)
def test_an_unpickling_is_found(source: str) -> None:
    assert len(unpicklings(source)) == 1
