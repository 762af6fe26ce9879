"""No module imports itself by way of others: imports inside functions and for typing count as well."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Rooms that still hold circles within themselves; the set may only shrink.
ROOMS_WITH_CIRCLES = {"images", "model", "api"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, modules: set[str]) -> Iterator[str]:
    """Modules of the package that a file names in an import statement, at any level."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, [base, node.module]))
            for alias in node.names:
                full = f"{source}.{alias.name}"
                if full in modules:
                    yield full
                elif source in modules:
                    yield source


def find_circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of two or more nodes that all reach one another (Tarjan 1972, strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for target in sorted(graph[node]):
            if target not in order:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in stack:
                lowest[node] = min(lowest[node], order[target])
        if lowest[node] == order[node]:
            start = stack.index(node)
            group = stack[start:]
            del stack[start:]
            if len(group) > 1:
                circles.append(sorted(group))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return circles


def package_graph() -> dict[str, set[str]]:
    paths = sorted((ROOT / "isthmus").rglob("*.py"))
    modules = {module_name(path) for path in paths}
    return {
        module_name(path): {m for m in imported_modules(path, modules) if m != module_name(path)}
        for path in paths
    }


def test_no_module_imports_itself_by_way_of_others() -> None:
    circles = find_circles(package_graph())
    rooms = [{name.split(".")[1] for name in circle} for circle in circles]
    assert all(len(group) == 1 for group in rooms)  # none spans two rooms
    assert set().union(*rooms) == ROOMS_WITH_CIRCLES


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set(), "e": {"f"}, "f": {"e", "a"}}
    assert find_circles(graph) == [["a", "b", "c"], ["e", "f"]]
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_imports_in_functions_and_relative_ones_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "isthmus" / "codec" / "own.py"
    path.parent.mkdir(parents=True)
    lines = ["from isthmus.codec import fit", "from . import tables", "from ..model import file"]
    path.write_text("def late():\n" + "".join(f"    {line}\n" for line in lines))
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    modules = {"isthmus.codec", "isthmus.codec.fit", "isthmus.codec.tables", "isthmus.model.file"}
    assert set(imported_modules(path, modules)) == modules - {"isthmus.codec"}
