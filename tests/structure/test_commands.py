"""Every command of the table can be loaded, explains itself and has a page in docs/reference/cli/."""

from pathlib import Path

import click
import pytest
from scripts import load_script

from isthmus.cli import COMMANDS, isthmus

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
SCRIPT = load_script("tools/command_reference.py")
NAMES = [entry.name for entry in COMMANDS]


def load(name: str) -> click.Command:
    command = isthmus.get_command(click.Context(isthmus), name)
    assert command is not None
    return command


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_every_line_of_help_fits_a_terminal() -> None:
    assert [entry.name for entry in COMMANDS if len(entry.name) + len(entry.help) > 72] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_command_explains_itself(name: str) -> None:
    command = load(name)
    assert command.help
    silent = [
        option.name
        for option in command.params
        if isinstance(option, click.Option) and not option.help and not option.hidden
    ]
    assert silent == []


@pytest.mark.parametrize("name", NAMES)
def test_the_command_speaks_json(name: str) -> None:
    options = [word for parameter in load(name).params for word in parameter.opts]
    assert {"--json", "--quiet", "--debug"} <= set(options)


def test_the_pages_are_those_of_the_commands() -> None:
    pages = SCRIPT.reference_pages()
    there = {f"cli/{path.name}": path.read_text("utf-8") for path in (FOLDER / "cli").glob("*.md")}
    there["cli.md"] = (FOLDER / "cli.md").read_text("utf-8")
    assert there == pages, "run: python tools/command_reference.py"
    assert set(pages) == {"cli.md", *(f"cli/{name}.md" for name in NAMES)}


def test_examples_are_code_on_the_page() -> None:
    assert "```sh\nisthmus map photos.safetensors photos/ -o map.html\n```" in SCRIPT.command_reference("map")
