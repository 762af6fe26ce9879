"""Imports run one way: each part knows only what stands before it, and the uses do not know each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "isthmus"

GROUND = {
    "atomic",
    "errors",
    "escaping",
    "file_jobs",
    "input_files",
    "installation",
    "interruption",
    "locks",
    "log",
    "machine",
    "messages",
    "names",
    "old_keywords",
    "outputs",
    "progress",
    "public_names",
    "pretrained",
    "openmp",
    "threads",
    "version",
    "wording",
}
USES = {"codec", "restoration", "generation", "features"}
ORDER = [
    GROUND,
    {"images"},
    {"metrics"},
    {"model"},
    {"training"},
    USES,
    {"evaluation"},
    {"reports"},
    {"api"},
    {"estimator", "pillow", "deprecated", "web"},
    {"cli"},
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
# The face and the entry point stand above everything; nothing may import them.
TOP = {"__init__", "__main__", "public_names"}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and part of every import from this project, at module level, in a function or for typing only."""
    for node in ast.walk(tree):
        names: list[str] = []
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "isthmus" else [module]
        for name in names:
            head, _, rest = name.partition(".")
            if head == "isthmus":
                yield node.lineno, rest.partition(".")[0] or "__init__"


def offences(source: str, path: Path) -> list[str]:
    own = part_of(path)
    if own in TOP:
        return []
    package = ("isthmus", *path.relative_to(PACKAGE).parent.parts)
    results = []
    for line, part in imported_parts(ast.parse(source), package):
        where = f"{path.name}:{line}"
        if part not in LEVEL:
            results.append(f"{where}: {own} imports '{part}' from the public face or an unplaced part")
        elif part != own and own not in GROUND and LEVEL[part] > LEVEL[own]:
            results.append(f"{where}: {own} imports {part}, which stands above it")
        elif part != own and own not in GROUND and LEVEL[part] == LEVEL[own]:
            results.append(f"{where}: {own} imports {part}, which stands beside it")
        elif own in GROUND and part not in GROUND:
            results.append(f"{where}: {own} is ground floor and imports {part}")
    return results


def test_every_part_has_its_place() -> None:
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")}
    assert parts - TOP <= set(LEVEL), "give the new part a level in ORDER"


def test_imports_run_one_way() -> None:
    assert [
        offence
        for path in sorted(PACKAGE.rglob("*.py"))
        for offence in offences(path.read_text("utf-8"), path)
    ] == []


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("images/reading.py", "from isthmus.model.recipe import Recipe"),
        ("images/reading.py", "def late():\n    import isthmus.training.session"),
        ("codec/container.py", "from isthmus.restoration.denoising import denoise_image"),
        ("model/file.py", "from isthmus import load"),
        ("model/file.py", "from ..training import session"),
        ("metrics/pixels.py", "from .. import model"),
        ("errors.py", "from isthmus.images import read"),
        ("training/session.py", "import isthmus"),
    ],
)
def test_an_upward_or_sideward_import_is_found(where: str, source: str) -> None:
    assert len(offences(source, PACKAGE / where)) == 1


@pytest.mark.parametrize(
    ("where", "source"),
    [
        ("cli/train.py", "from isthmus.training.session import train_model"),
        (
            "model/file.py",
            "from isthmus.model.recipe import Recipe\nfrom isthmus.errors import ModelFileError",
        ),
        ("model/file.py", "from . import recipe\nfrom ..images import read"),
        ("atomic.py", "from isthmus.errors import OutputError"),
        ("metrics/pixels.py", "import numpy\nfrom isthmus_other import x"),
    ],
)
def test_a_downward_import_is_allowed(where: str, source: str) -> None:
    assert offences(source, PACKAGE / where) == []
