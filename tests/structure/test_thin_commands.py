"""The command line holds options and one call of the api each: no arrays, files or models of its own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click

from isthmus.cli import COMMANDS, isthmus
from isthmus.cli.command import PYTHON_ONLY

FOLDER = Path(__file__).parents[2] / "isthmus" / "cli"
FILES = sorted(FOLDER.glob("*.py"))
MAX_LINES, MAX_FILE_LINES = 2_500, 150
# What a command may import: the api, its own folder, and what text and errors need.
ALLOWED = (
    *("isthmus.api", "isthmus.cli", "isthmus.reports", "isthmus.errors", "isthmus.log", "isthmus.progress"),
    *("isthmus.escaping", "isthmus.wording", "isthmus.outputs", "isthmus.locks", "isthmus.version"),
    "isthmus.interruption",
    "isthmus.web.serving",
)
HEAVY = ("numpy", "torch", "PIL", "scipy", "sklearn", "matplotlib")


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "isthmus":
            yield from (f"isthmus.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_command_line_is_small() -> None:
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}
    assert sum(lines.values()) <= MAX_LINES


def test_commands_import_nothing_from_below_the_api() -> None:
    wrong = [
        f"{path.name}: {module}"
        for path in FILES
        for module in imported_modules(path)
        if module.split(".")[0] in HEAVY or (module.startswith("isthmus.") and not module.startswith(ALLOWED))
    ]
    assert wrong == []


def test_an_option_that_is_not_given_is_not_passed_on() -> None:
    """No command has a default of its own: those of the api's functions hold."""
    own = {
        f"{entry.name} {parameter.name}": parameter.default
        for entry in COMMANDS
        for parameter in command(entry.name).params
        if isinstance(parameter, click.Option)
        and parameter.name not in ("force", "debug", "as_json", "quiet", "rows", *PYTHON_ONLY)
        and parameter.default not in (None, (), False)
        and "UNSET" not in repr(parameter.default)
    }
    assert own == {}


def command(name: str) -> click.Command:
    result = isthmus.get_command(click.Context(isthmus), name)
    assert result is not None
    return result
