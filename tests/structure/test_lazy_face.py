"""`import isthmus`, `isthmus --help` and a misspelt request load nothing heavy."""

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import isthmus

PACKAGE = Path(isthmus.__file__).parent
HEAVY = ("torch", "numpy", "PIL", "matplotlib", "rich", "sklearn", "scipy", "pooch", "safetensors")

IMPORT = "import isthmus; dir(isthmus)"
COMMAND = "from isthmus.__main__ import main; main({words!r})"


@pytest.mark.parametrize(
    "code",
    [
        IMPORT,
        COMMAND.format(words=[]),
        COMMAND.format(words=["--help"]),
        COMMAND.format(words=["--version"]),
        COMMAND.format(words=["trian"]),
        COMMAND.format(words=["--hlep"]),
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    report = f"{code}\nimport sys\nprint('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    ran = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, env=environment, check=True
    )
    assert ran.stdout.splitlines()[-1] == "LOADED []"


def test_no_public_name_is_also_a_sub_module() -> None:
    # Importing a sub-module sets it as an attribute of the package, and would replace the function.
    modules = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert not modules & set(isthmus.__all__)


def test_public_names_are_listed() -> None:
    assert set(isthmus.__all__) <= set(dir(isthmus))


def imported_names() -> dict[str, tuple[str, str]]:
    """`(module, name there)` of every name that `isthmus/__init__.py` imports."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
        for alias in node.names
    }


@pytest.mark.parametrize("name", isthmus.__all__)
def test_every_public_name_is_what_type_checkers_are_shown(name: str) -> None:
    module, name_there = imported_names()[name]
    assert getattr(isthmus, name) is getattr(import_module(module), name_there)


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(isthmus, "trian")
