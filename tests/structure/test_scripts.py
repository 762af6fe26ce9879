"""No file is too long to read in one go; each folder of scripts outside of the package has one purpose."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from scripts import ROOT

MAX_LINES = 400
SCRIPTS = sorted(
    path for folder in ("benchmarks", "studies", "tools") for path in (ROOT / folder).rglob("*.py")
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_script_is_short_and_says_how_it_is_run(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    description = ast.get_docstring(ast.parse(text))
    assert description
    if 'if __name__ == "__main__":' in text and path.parent.parent == ROOT:
        assert path.relative_to(ROOT).as_posix() in description


def test_no_file_of_the_package_is_long() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "isthmus").rglob("*.py")}
    assert [path for path, length in lengths.items() if length > MAX_LINES] == []


def test_training_scripts_are_tools() -> None:
    assert not list((ROOT / "benchmarks").glob("train_*.py"))
    assert not list((ROOT / "benchmarks").glob("ship_*.py"))


def defined_names(module: str) -> set[str] | None:
    """Names that a module of the package binds at its top level; None where there is no such module."""
    base = ROOT.joinpath(*module.split("."))
    path = next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)
    if path is None:
        return None
    names = {sub.stem for sub in base.glob("*.py")} | {sub.name for sub in base.glob("*/")}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias():
                names.add(node.asname or node.name)
    return names


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_script_imports_what_the_package_has(path: Path) -> None:
    missing = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isthmus."):
            names = defined_names(str(node.module)) or set()
            missing += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in names]
    assert missing == []
