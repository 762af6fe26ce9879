"""In rooms that are written in plain words, a local, argument or function is named after what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "isthmus"
SCRIPT_FOLDERS = ("benchmarks", "studies", "tools")

ROOMS = (
    *("api", "cli", "codec", "evaluation", "features", "generation", "images", "metrics", "model"),
    *("reports", "restoration", "training", "web"),
)
FORBIDDEN = {"found", "told", "seen", "whole", "kept", "wanted", "known", "one"}
# In these rooms nor are these used.
STRICT_ROOMS = ("api", "cli", "codec", "features", "metrics", "reports", "web")
FORBIDDEN_STRICTLY = FORBIDDEN | {"asked", "given", "held", "here", "made", "said", "shown", "taken"}


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every function, argument and local variable; fields of classes are not among them."""
    fields = {
        id(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign | ast.Assign)
        for target in ast.walk(statement)
    }
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()) if id(node) not in fields:
                yield node.lineno, node.id
            case ast.alias() if node.asname:
                yield node.lineno, node.asname
            case ast.ExceptHandler() | ast.MatchAs() if node.name:
                yield node.lineno, node.name


def forbidden_names(source: str, words: set[str] = FORBIDDEN) -> list[tuple[int, str]]:
    return [(line, name) for line, name in names_of(ast.parse(source)) if name.strip("_").lower() in words]


def files_to_check() -> Iterator[tuple[str, Path]]:
    """Name and path of every file."""
    inside = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]
    scripts = [path for folder in SCRIPT_FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    for path in [*sorted(PACKAGE.glob("*.py")), *inside, *scripts]:
        yield path.relative_to(ROOT).as_posix().removeprefix("isthmus/"), path


def test_names_say_what_they_hold() -> None:
    offences = []
    for name, path in files_to_check():
        words = FORBIDDEN_STRICTLY if name.startswith(STRICT_ROOMS) else FORBIDDEN
        names = forbidden_names(path.read_text("utf-8"), words)
        offences += [f"{name}:{line}: {word}" for line, word in names]
    assert offences == [], "name these after what they hold: number, noun, or `is_…`"


@pytest.mark.parametrize(
    "source",
    [
        "def told(): pass",
        "def f(seen): pass",
        "def f(*, whole=1): pass",
        "found = 1",
        "_KEPT = 1",
        "[one for one in ()]",
        "lambda known: 1",
        "for kept, rest in (): pass",
        "if (wanted := 1): pass",
        "from x import y as found",
        "try: pass\nexcept ValueError as found: pass",
    ],
)
def test_a_forbidden_name_is_noticed(source: str) -> None:
    assert len(forbidden_names(source)) == 1


@pytest.mark.parametrize(
    "source", ["class A:\n    found: int = 1", "x.found = 1", "f(found=1)", "print(found)"]
)
def test_fields_and_uses_are_not_names_of_their_own(source: str) -> None:
    assert forbidden_names(source) == []
