"""Scripts outside of the package: each folder has one purpose, and no file is too long to read in one go."""

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


def test_training_scripts_are_tools() -> None:
    assert not list((ROOT / "benchmarks").glob("train_*.py"))
    assert not list((ROOT / "benchmarks").glob("ship_*.py"))
