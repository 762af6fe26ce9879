"""Nothing outside `model/` asks which point of the product space it has: points state their facts."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from isthmus.model.axes import AXES
from isthmus.model.axes.point import Point

PACKAGE = Path(__file__).parents[2] / "isthmus"
OUTSIDE = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "model")
POINTS = {point for points in AXES.values() for point in points if issubclass(point, Point)}
NAMES = {point.__name__ for point in POINTS}
KINDS = {point.kind for point in POINTS}
# Modules of networks, whose classes tell as much as those of settings do.
NETWORKS = tuple(
    f"isthmus.model.{name}" for name in ("backbones", "bottlenecks", "corruptions", "critics", "positions")
)


def questions(source: str) -> list[str]:
    """Every place in a module that asks which point it has, as `line: code`."""
    tree = ast.parse(source)
    places = {id(node): node for node in ast.walk(tree)}
    called = {id(node.func) for node in places.values() if isinstance(node, ast.Call)}
    networks = set(_imported(tree, NETWORKS))
    points = _of_points(tree)
    results: set[tuple[int, str]] = set()
    for node in places.values():
        match node:
            case ast.Attribute(value=ast.Name("axes"), attr=name) if name in NAMES and id(node) not in called:
                asks = True
            case ast.ImportFrom(module=str(module)) if module.startswith("isthmus.model.axes."):
                asks = any(alias.name in NAMES for alias in node.names)
            case ast.Call(func=ast.Name("isinstance" | "issubclass"), args=[of, classes]):
                asks = any(isinstance(n, ast.Name) and n.id in networks for n in ast.walk(classes))
                asks = asks or _is_point(of, points)
            case ast.Call(func=ast.Name("getattr" | "hasattr" | "type" | "vars"), args=[of, *_]):
                asks = _is_point(of, points)
            case ast.Compare(left=left, comparators=others):
                asks = any(_names_kind(side, points) for side in (left, *others)) or (
                    any(_attribute(side, "kind") for side in (left, *others))
                    and any(_constants(side) & KINDS for side in (left, *others))
                )
            case ast.Match(subject=subject):
                asks = _is_point(subject, points) or _names_kind(subject, points)
            case _:
                asks = False
        if asks:
            results.add((node.lineno, ast.unparse(node).splitlines()[0]))  # type: ignore[attr-defined]
    return [f"{line}: {code}" for line, code in sorted(results)]


def _imported(tree: ast.AST, modules: tuple[str, ...]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(modules):
            yield from (alias.asname or alias.name for alias in node.names)


def _of_points(tree: ast.AST) -> set[str]:
    """Names that a module gives to points: `how = recipe.corruption`, `def f(how: axes.Corruption)`."""
    results: set[str] = set()
    bases = {base.__name__ for point in POINTS for base in point.__mro__ if base not in POINTS}
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) if _is_point(value, set()):
                results.add(name)
            case ast.Assign(targets=[ast.Tuple(targets)], value=ast.Tuple(values)):
                pairs = zip(targets, values, strict=False)
                results |= {t.id for t, v in pairs if isinstance(t, ast.Name) and _is_point(v, set())}
            case ast.arg(arg=name, annotation=ast.Attribute(value=ast.Name("axes"), attr=base)) if (
                base in bases
            ):
                results.add(name)
            case _:
                pass
    return results


def _is_point(node: ast.AST, names: set[str]) -> bool:
    match node:
        case ast.Attribute(attr=name):  # of a recipe, or the network of that name
            return (name in AXES and name != "objective") or name == "encoder"
        case ast.Name(name):
            return name in names
    return False


def _names_kind(node: ast.AST, names: set[str]) -> bool:
    """`recipe.backbone.kind`, `recipe.optimiser.name`."""
    return isinstance(node, ast.Attribute) and node.attr in ("kind", "name") and _is_point(node.value, names)


def _attribute(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def _constants(node: ast.AST) -> set[object]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_nothing_asks_which_point_it_has() -> None:
    results = {str(path.relative_to(PACKAGE)): questions(path.read_text("utf-8")) for path in OUTSIDE}
    assert {name: asked for name, asked in results.items() if asked} == {}


@pytest.mark.parametrize(
    "code",
    [
        "isinstance(recipe.bottleneck, axes.TopK)",
        "isinstance(model.recipe.bottleneck, SPARSE)",
        "SPARSE = (axes.L1, axes.TopK)",
        "how = recipe.corruption\nmatch how:\n    case axes.Mask():\n        pass",
        "recipe.backbone.kind == 'filters'",
        "'filters' != kept.kind",
        "model.recipe.optimiser.name == 'gd'",
        "kind = recipe.critic\nkind.kind in ('on-codes',)",
        "match recipe.critic.kind:\n    case 'none':\n        pass",
        "type(recipe.bottleneck) is type(other)",
        "getattr(recipe.backbone, 'skips', False)",
        "def f(how: axes.Corruption): return hasattr(how, 'sigma')",
        "from isthmus.model.axes.bottleneck import TopK",
        "from isthmus.model.bottlenecks.norms import L1Bottleneck as L\nisinstance(bottleneck, L)",
    ],
)
def test_each_way_to_ask_is_found(code: str) -> None:
    assert questions(code)


@pytest.mark.parametrize(
    "code",
    [
        "recipe.bottleneck.is_sparse",
        "axes.NoCorruption()",
        "def f(how: axes.Corruption) -> bool: return how.is_identity",
        "pixels.dtype.kind == 'u'",
        "f'kind {recipe.bottleneck.kind}'",
    ],
)
def test_facts_and_new_points_are_no_questions(code: str) -> None:
    assert questions(code) == []
